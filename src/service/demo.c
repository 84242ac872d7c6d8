/* demo.c -- ids of the demo world. */
#include "service/demo.h"

struct uuid demo_id(enum demo_kind kind, unsigned a, unsigned b, unsigned c)
{
    /* 2026-01-01T00:00:00Z in milliseconds, version 7, variant 2 */
    struct uuid u = {{0x01, 0x9b, 0x76, 0xda, 0xa8, 0x00, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0}};

    u.b[7] = (unsigned char)kind;
    u.b[10] = (unsigned char)(a >> 8);
    u.b[11] = (unsigned char)a;
    u.b[12] = (unsigned char)(b >> 8);
    u.b[13] = (unsigned char)b;
    u.b[14] = (unsigned char)(c >> 8);
    u.b[15] = (unsigned char)c;
    return u;
}
