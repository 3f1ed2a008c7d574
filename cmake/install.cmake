# find_package(fairopt) for C++ programs: fairopt::core and the public headers.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
install(TARGETS fairopt_core EXPORT fairoptTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT cpp)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/cpp/include/fairopt DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT cpp)
install(EXPORT fairoptTargets NAMESPACE fairopt:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/fairopt COMPONENT cpp)
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/fairoptConfig.cmake.in ${PROJECT_BINARY_DIR}/fairoptConfig.cmake
  INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/fairopt)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/fairoptConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/fairoptConfig.cmake ${PROJECT_BINARY_DIR}/fairoptConfigVersion.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/fairopt COMPONENT cpp)
