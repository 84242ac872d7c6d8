/* str.h -- a borrowed, immutable view of bytes; the string type everywhere above library borders.
 */
#pragma once

#include "base/attr.h"

/* p == NULL means "absent" (JSON null, SQL null); p != NULL with n == 0 is the empty string. */
struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_NONE ((struct str){NULL, 0})
/* For "%.*s". */
#define STR_ARG(s) (int)(s).n, ((s).p ? (s).p : "")

struct str str_from(const char *c_string); /* NULL gives STR_NONE */
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
int str_cmp(struct str a, struct str b);        /* memcmp order, shorter first */
bool str_starts(struct str s, struct str prefix);
bool str_ends(struct str s, struct str suffix);
struct str str_trim(struct str s); /* SP and HTAB at both ends */
/* Cuts s at the first separator: *ret_head before it, *ret_tail after it; false (head = s) if none.
 */
bool str_cut(struct str s, char separator, struct str *ret_head, struct str *ret_tail);
/* Index of the first occurrence of needle, or SIZE_MAX. An empty needle is at 0. */
size_t str_find(struct str s, struct str needle);
/* What a digit of base 16 stands for, of either case; -1: it is none. */
int str_hex_digit(char c);
/* Strict decimal: optional '-', no '+', no leading zeros, within [min, max]. */
bool str_i64(struct str s, int64_t min, int64_t max, int64_t *ret);
/* Well-formed UTF-8 (RFC 3629: no overlongs, no surrogates, <= U+10FFFF)? */
bool str_is_utf8(struct str s);
/* Number of code points in valid UTF-8. */
size_t str_utf8_length(struct str s);
/* Equality whose time depends on the lengths only. For secrets. */
bool str_eq_secret(struct str a, struct str b);
/* FNV-1a; for in-process tables with bounded content, never for security. */
uint64_t str_hash(struct str s);
