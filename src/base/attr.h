/* attr.h -- compiler attributes, small macros and the list of functions nobody may call. */
#pragma once

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define UNUSED __attribute__((unused))

/* Each of these has overrun a buffer or shared a static in somebody's production. */
#define BANNED(name) jumun_bans_##name
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strtok
#undef atoi
#undef gets
#undef alloca
#undef localtime
#undef gmtime
#define strcpy(...) BANNED(strcpy)
#define strcat(...) BANNED(strcat)
#define sprintf(...) BANNED(sprintf)
#define vsprintf(...) BANNED(vsprintf)
#define strtok(...) BANNED(strtok)
#define atoi(...) BANNED(atoi)
#define gets(...) BANNED(gets)
#define alloca(...) BANNED(alloca)
#define localtime(...) BANNED(localtime)
#define gmtime(...) BANNED(gmtime)
