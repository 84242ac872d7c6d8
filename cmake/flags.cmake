# Warnings, hardening and sanitizers, carried by one interface target.
add_library(jumun_flags INTERFACE)
target_compile_definitions(jumun_flags INTERFACE _GNU_SOURCE JUMUN_VERSION="${PROJECT_VERSION}"
                           JUMUN_MUTANT=${JUMUN_MUTANT})
target_compile_options(jumun_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
    -Wwrite-strings -Wpointer-arith -Wcast-qual -Wundef -Wformat=2 -Wimplicit-fallthrough
    -ffile-prefix-map=${CMAKE_SOURCE_DIR}/= -Wno-missing-field-initializers -fno-common -fno-strict-aliasing)
if(JUMUN_WERROR)
    target_compile_options(jumun_flags INTERFACE -Werror)
endif()
if(JUMUN_FAULTS)
    target_compile_definitions(jumun_flags INTERFACE JUMUN_FAULTS)
endif()

if(JUMUN_SANITIZE)
    target_compile_options(jumun_flags INTERFACE -fsanitize=${JUMUN_SANITIZE} -fno-omit-frame-pointer
                           -fno-sanitize-recover=all)
    target_link_options(jumun_flags INTERFACE -fsanitize=${JUMUN_SANITIZE})
    if(JUMUN_SANITIZE MATCHES "address")
        target_compile_definitions(jumun_flags INTERFACE JUMUN_ARENA_MALLOC)
    endif()
else()
    # quality: PIE, full RELRO, stack protector, fortify 3, CET, stack clash, auto-var-init
    target_compile_options(jumun_flags INTERFACE -fstack-protector-strong -fstack-clash-protection
                           -fcf-protection=full $<$<C_COMPILER_ID:GNU>:-ftrivial-auto-var-init=zero>
                           $<$<CONFIG:Release>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3>)
    target_link_options(jumun_flags INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
endif()
