/* forwarded.c -- who asks, seen through the proxies in front. */
#include "service/forwarded.h"

#include <arpa/inet.h>

static bool read_address(int family, struct str s, void *ret)
{
    char text[INET6_ADDRSTRLEN];

    if (s.n == 0 || s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(family, text, ret) == 1;
}

static bool is_address(struct str s)
{
    char binary[sizeof(struct in6_addr)];

    return read_address(AF_INET, s, binary) || read_address(AF_INET6, s, binary);
}

/* Cuts the last element off a list. */
static struct str cut_last(struct str *list)
{
    size_t at = list->n;

    while (at > 0 && list->p[at - 1] != ',')
        at--;
    struct str last = {list->p + at, list->n - at};
    list->n = at > 0 ? at - 1 : 0;
    return str_trim(last);
}

struct str forwarded_client(const struct http_head *head, struct str peer, int64_t proxies)
{
    struct str client = peer;

    for (size_t i = head->n_fields; i > 0 && proxies > 0; i--) {
        struct str list = head->fields[i - 1].value;
        if (!str_eq_nocase(head->fields[i - 1].name, STR("X-Forwarded-For")))
            continue;
        for (; list.n && proxies > 0; proxies--) {
            struct str seen = cut_last(&list);
            if (!is_address(seen))
                return client;
            client = seen;
        }
    }
    return client;
}

struct str client_network(struct arena *a, struct str address)
{
    struct str plain, zone;
    struct in6_addr ip;
    char text[INET6_ADDRSTRLEN];

    str_cut(address, '%', &plain, &zone);
    if (!read_address(AF_INET6, plain, &ip))
        return address;
    if (IN6_IS_ADDR_V4MAPPED(&ip)) {
        inet_ntop(AF_INET, &ip.s6_addr[12], text, sizeof text);
        return arena_copy(a, str_from(text));
    }
    memset(&ip.s6_addr[8], 0, 8);
    inet_ntop(AF_INET6, &ip, text, sizeof text);
    return arena_printf(a, "%s/64", text);
}
