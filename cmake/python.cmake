# fairopt._core (pybind11, no torch) and libfairopt_ops (the torch dispatcher operators, stable ABI, no Python).
set(PYBIND11_FINDPYTHON ON)
find_package(Python 3.10 REQUIRED COMPONENTS Interpreter Development.Module)
execute_process(COMMAND ${Python_EXECUTABLE} -c "import pybind11; print(pybind11.get_cmake_dir())"
  OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
find_package(pybind11 3 CONFIG REQUIRED)

file(GLOB binding_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bindings/module.cpp ${PROJECT_SOURCE_DIR}/bindings/bind_*.cpp)
pybind11_add_module(_core MODULE NO_EXTRAS ${binding_sources})
target_link_libraries(_core PRIVATE fairopt::core fairopt_warnings)
target_compile_definitions(_core PRIVATE FAIROPT_VERSION="${PROJECT_VERSION}")
install(TARGETS _core LIBRARY DESTINATION fairopt COMPONENT python)

# torch is found without being imported (0.1 s instead of 3 s, and no find_package(Torch), which wants nvcc). pip's isolated
# build hides the environment's packages but runs its interpreter, so we look into that environment's folders as well.
set(FAIROPT_OPS AUTO CACHE STRING "torch operators: AUTO builds them when torch is found, ON requires it, OFF")
if(FAIROPT_OPS STREQUAL "OFF")
  return()
endif()
if(NOT FAIROPT_TORCH_DIR)
  execute_process(COMMAND ${Python_EXECUTABLE} ${PROJECT_SOURCE_DIR}/cmake/find_torch.py
    OUTPUT_VARIABLE FAIROPT_TORCH_DIR OUTPUT_STRIP_TRAILING_WHITESPACE)
endif()
if(NOT FAIROPT_TORCH_DIR)
  set(no_torch "torch is not installed for ${Python_EXECUTABLE}: install torch>=2.10 first, or pass FAIROPT_TORCH_DIR")
  if(FAIROPT_OPS STREQUAL "ON")
    message(FATAL_ERROR "fairopt: ${no_torch}")
  endif()
  message(STATUS "fairopt: the torch operators are not built: ${no_torch}")
  return()
endif()
file(GLOB ops_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bindings/torch_*.cpp)
if(ops_sources)
  add_library(fairopt_ops MODULE ${ops_sources})
  target_include_directories(fairopt_ops SYSTEM PRIVATE ${FAIROPT_TORCH_DIR}/include)
  target_compile_options(fairopt_ops PRIVATE
    -ffile-prefix-map=${FAIROPT_TORCH_DIR}/include/= -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
  target_compile_definitions(fairopt_ops PRIVATE TORCH_TARGET_VERSION=0x020a000000000000) # runs on torch >= 2.10
  target_link_libraries(fairopt_ops PRIVATE fairopt::core fairopt_warnings ${FAIROPT_TORCH_DIR}/lib/libtorch_cpu.so)
  # torch is loaded before us and found by SONAME: no run path, one binary for every torch.
  set_target_properties(fairopt_ops PROPERTIES SKIP_BUILD_RPATH ON INSTALL_RPATH "")
  install(TARGETS fairopt_ops LIBRARY DESTINATION fairopt COMPONENT python)
endif()
