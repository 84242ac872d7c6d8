/* base64.h -- strict base64 and base64url (RFC 4648): one text per value, nothing else is accepted.
 */
#pragma once

#include "base/str.h"

/* Characters without NUL; base64url is unpadded (RFC 7515), standard base64 is padded. */
#define BASE64URL_LENGTH(n) (((n)*8 + 5) / 6)
#define BASE64_LENGTH(n) (((n) + 2) / 3 * 4)

/* Write exactly the lengths above, no NUL; return that length. */
size_t base64url_encode(const void *p, size_t n, char *out);
size_t base64_encode(const void *p, size_t n, char *out);

/*
 * False, with *ret_n untouched, on: a foreign character, white space, padding where there is none
 * (url) or wrong padding (standard), an impossible length, non-zero trailing bits, or more than
 * `capacity` bytes.
 */
bool base64url_decode(struct str s, void *out, size_t capacity, size_t *ret_n) MUST_USE;
bool base64_decode(struct str s, void *out, size_t capacity, size_t *ret_n) MUST_USE;
