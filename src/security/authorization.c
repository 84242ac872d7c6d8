/* authorization.c -- the Authorization header: Bearer and Basic. */
#include "security/authorization.h"

#include "security/base64.h"

#define CREDENTIALS_MAX (16 * 1024) /* a request head is not larger */

/* token68 of RFC 9110: letters, digits and -._~+/ with '=' at the end only. */
static bool is_token68(struct str s)
{
    static const char marks[] = "-._~+/";
    size_t end = s.n;

    while (end > 0 && s.p[end - 1] == '=')
        end--;
    if (end == 0)
        return false;
    for (size_t i = 0; i < end; i++) {
        char c = s.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (c == '\0' || strchr(marks, c) == NULL))
            return false;
    }
    return true;
}

struct authorization authorization_parse(struct arena *a, struct str header)
{
    struct authorization got = {.scheme = AUTH_BAD};
    struct str scheme, rest;

    if (header.p == NULL)
        return (struct authorization){.scheme = AUTH_ABSENT};
    if (!str_cut(header, ' ', &scheme, &rest))
        return got;
    while (rest.n > 0 && rest.p[0] == ' ')
        rest = (struct str){rest.p + 1, rest.n - 1};
    if (rest.n > CREDENTIALS_MAX || !is_token68(rest))
        return got;
    if (str_eq_nocase(scheme, STR("bearer"))) {
        got.scheme = AUTH_BEARER;
        got.token = rest;
    } else if (str_eq_nocase(scheme, STR("basic"))) {
        char *text = arena_alloc(a, rest.n + 1);
        size_t n;
        if (!base64_decode(rest, text, rest.n, &n) || memchr(text, '\0', n) != NULL)
            return got;
        if (str_cut((struct str){text, n}, ':', &got.user, &got.password))
            got.scheme = AUTH_BASIC;
    }
    return got;
}
