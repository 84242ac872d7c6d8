/* uuid.c -- version 7 UUIDs and their text form. */
#include "base/uuid.h"

struct uuid uuid_v7(int64_t now_us, struct rng *r)
{
    struct uuid u;
    uint64_t ms = (uint64_t)(now_us / 1000);

    rng_bytes(r, u.b, sizeof u.b);
    for (int i = 0; i < 6; i++)
        u.b[i] = (unsigned char)(ms >> (40 - 8 * i));
    /* rand_a carries the microseconds, so ids of one process sort within a millisecond too (RFC
     * 9562 6.2). */
    unsigned sub = (unsigned)(now_us % 1000) * 4096u / 1000u;
    u.b[6] = (unsigned char)(0x70 | (sub >> 8));
    u.b[7] = (unsigned char)sub;
    u.b[8] = (unsigned char)((u.b[8] & 0x3f) | 0x80);
    return u;
}

bool uuid_parse(struct str s, struct uuid *ret)
{
    struct uuid u;
    size_t at = 0;

    if (s.n != 36)
        return false;
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            if (s.p[at++] != '-')
                return false;
        int high = str_hex_digit(s.p[at]), low = str_hex_digit(s.p[at + 1]);
        if (high < 0 || low < 0)
            return false;
        u.b[i] = (unsigned char)(high << 4 | low);
        at += 2;
    }
    *ret = u;
    return true;
}

struct str uuid_format(struct uuid u, char out[UUID_TEXT_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    size_t at = 0;

    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[at++] = '-';
        out[at++] = digits[u.b[i] >> 4];
        out[at++] = digits[u.b[i] & 15];
    }
    out[at] = '\0';
    return (struct str){out, at};
}

bool uuid_eq(struct uuid a, struct uuid b)
{
    return memcmp(a.b, b.b, sizeof a.b) == 0;
}

int uuid_cmp(struct uuid a, struct uuid b)
{
    return memcmp(a.b, b.b, sizeof a.b);
}

bool uuid_is_nil(struct uuid u)
{
    return uuid_eq(u, UUID_NIL);
}
