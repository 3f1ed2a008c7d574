# One object per instruction-set level. Only the files named here may contain instructions above x86-64-v2;
# tools/check_isa_symbols.py reads the objects back. A level that the compiler cannot make is left out.
include(CheckCXXCompilerFlag)

set(level_flags -ffp-contract=off)
if(FAIROPT_SANITIZE)  # unrolled kernels with a check at every access: at -O2 -g GCC 12 takes minutes for a file
  list(APPEND level_flags -O1 -g1)
endif()

set_source_files_properties(${CPU_KERNELS}/baseline.cpp PROPERTIES COMPILE_OPTIONS "${level_flags}")
target_sources(fairopt_core PRIVATE ${CPU_KERNELS}/baseline.cpp)

function(fairopt_isa level)
  string(TOUPPER ${level} LEVEL)
  string(REPLACE ";" " " flags "${ARGN}")
  check_cxx_compiler_flag("${flags}" FAIROPT_HAVE_${LEVEL})
  if(FAIROPT_HAVE_${LEVEL})
    target_sources(fairopt_core PRIVATE ${CPU_KERNELS}/${level}.cpp)
    # GCC 12 takes the deliberately undefined operands inside avx512fintrin.h for mistakes of ours (GCC bug 105593).
    # The same kernel bodies keep the warning at the baseline.
    set_source_files_properties(${CPU_KERNELS}/${level}.cpp PROPERTIES COMPILE_OPTIONS
      "${ARGN};${level_flags};$<$<CXX_COMPILER_ID:GNU>:-Wno-uninitialized;-Wno-maybe-uninitialized>")
    target_compile_definitions(fairopt_core PRIVATE FAIROPT_HAVE_${LEVEL}=1)
  endif()
endfunction()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  set(avx512 -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512cd -mavx2 -mfma -mf16c)
  fairopt_isa(avx2 -mavx2 -mfma -mf16c)
  fairopt_isa(avx512 ${avx512})
  fairopt_isa(avx512_vnni ${avx512} -mavx512vnni)
  fairopt_isa(avx512_vbmi2 ${avx512} -mavx512vbmi2)  # no level of its own: a part of avx512_vnni
  fairopt_isa(avx512_bf16 ${avx512} -mavx512vbmi -mavx512vbmi2 -mavx512bf16)  # likewise
endif()
