/* base64.c -- strict base64 and base64url. */
#include "security/base64.h"

static const char url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t encode(const unsigned char *p, size_t n, char *out, const char *letters)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t at = 0;

    for (size_t i = 0; i < n; i++) {
        bits = bits << 8 | p[i];
        for (held += 8; held >= 6; held -= 6)
            out[at++] = letters[bits >> (held - 6) & 63];
    }
    if (held > 0)
        out[at++] = letters[bits << (6 - held) & 63];
    return at;
}

size_t base64url_encode(const void *p, size_t n, char *out)
{
    return encode(p, n, out, url_alphabet);
}

size_t base64_encode(const void *p, size_t n, char *out)
{
    size_t at = encode(p, n, out, alphabet);
    while (at % 4 != 0)
        out[at++] = '=';
    return at;
}

/* The value of a digit, or 64; c62 and c63 are the two letters in which the alphabets differ. */
static unsigned digit(char c, char c62, char c63)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    if (c == c62)
        return 62;
    return c == c63 ? 63 : 64;
}

static bool decode(struct str s, unsigned char *out, size_t capacity, size_t *ret_n, char c62,
                   char c63)
{
    uint32_t bits = 0;
    unsigned held = 0;
    size_t at = 0;

    if (s.p == NULL || s.n % 4 == 1 || s.n / 4 * 3 > capacity)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned value = digit(s.p[i], c62, c63);
        if (value == 64)
            return false;
        bits = bits << 6 | value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            if (at == capacity)
                return false;
            out[at++] = (unsigned char)(bits >> held);
        }
    }
    if ((bits & ((1U << held) - 1)) != 0)
        return false; /* a second spelling of the same bytes */
    *ret_n = at;
    return true;
}

bool base64url_decode(struct str s, void *out, size_t capacity, size_t *ret_n)
{
    return decode(s, out, capacity, ret_n, '-', '_');
}

bool base64_decode(struct str s, void *out, size_t capacity, size_t *ret_n)
{
    if (s.p == NULL || s.n % 4 != 0)
        return false;
    for (int padding = 0; padding < 2 && s.n > 0 && s.p[s.n - 1] == '='; padding++)
        s.n--;
    return decode(s, out, capacity, ret_n, '+', '/');
}
