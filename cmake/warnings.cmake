# Warnings of our own code, and the sanitizers of the asan preset.
add_library(fairopt_warnings INTERFACE)
target_compile_options(fairopt_warnings INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wshadow -Wpedantic $<$<BOOL:${FAIROPT_WERROR}>:-Werror>>)
if(FAIROPT_SANITIZE)
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${FAIROPT_SANITIZE}>
    $<$<COMPILE_LANGUAGE:CXX>:-fno-sanitize-recover=all> $<$<COMPILE_LANGUAGE:CXX>:-fno-omit-frame-pointer>)
  add_link_options(-fsanitize=${FAIROPT_SANITIZE})
endif()
