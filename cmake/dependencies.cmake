# Header-only dependencies, private to the core: Eigen (linear algebra) and fmt (g++ 12 has no <format>).
# They come from the system or from the PyPI packages cmeel-eigen and cmeel-fmt, which pip installs into
# <site-packages>/cmeel.prefix of the environment that builds us.
find_package(Python 3.10 COMPONENTS Interpreter)
if(Python_FOUND)
  execute_process(COMMAND ${Python_EXECUTABLE} -c
    "import os, sys; print(';'.join(d for d in (os.path.join(p, 'cmeel.prefix') for p in sys.path) if os.path.isdir(d)))"
    OUTPUT_VARIABLE cmeel_prefixes OUTPUT_STRIP_TRAILING_WHITESPACE)
  list(APPEND CMAKE_PREFIX_PATH ${cmeel_prefixes})
endif()

find_package(fmt REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE)
find_package(Threads REQUIRED)
