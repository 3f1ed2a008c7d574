# libfairopt_core: C++20, no torch, no Python. Static and position independent: the extension and the operators embed it.
# Sources are globbed per folder so that a new op is a new file and nothing else.
file(GLOB core_sources CONFIGURE_DEPENDS
  ${PROJECT_SOURCE_DIR}/cpp/src/compress/*.cpp
  ${PROJECT_SOURCE_DIR}/cpp/src/metrics/*.cpp
  ${PROJECT_SOURCE_DIR}/cpp/src/stats/*.cpp
  ${PROJECT_SOURCE_DIR}/cpp/src/kernels/*.cpp
  ${PROJECT_SOURCE_DIR}/cpp/src/runtime/*.cpp)
add_library(fairopt_core STATIC ${core_sources})
add_library(fairopt::core ALIAS fairopt_core)
set_target_properties(fairopt_core PROPERTIES EXPORT_NAME core)
target_compile_features(fairopt_core PUBLIC cxx_std_20)
target_include_directories(fairopt_core
  PUBLIC $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/cpp/include> $<INSTALL_INTERFACE:include>
  PRIVATE ${PROJECT_SOURCE_DIR}/cpp/src)
target_link_libraries(fairopt_core
  PUBLIC Threads::Threads ${CMAKE_DL_LIBS}
  PRIVATE $<BUILD_INTERFACE:fmt::fmt-header-only> $<BUILD_INTERFACE:Eigen3::Eigen> $<BUILD_INTERFACE:fairopt_warnings>)
target_compile_definitions(fairopt_core PRIVATE EIGEN_MPL2_ONLY FAIROPT_VERSION="${PROJECT_VERSION}")
# Where an error comes from is part of its text, the build machine's folders are not.
target_compile_options(fairopt_core PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=>)

set(CPU_KERNELS ${PROJECT_SOURCE_DIR}/cpp/src/kernels/cpu)
include(isa)

include(install)
