/* forwarded.c -- who asks, seen through the proxies in front. */
#include "service/running.h"

#include <arpa/inet.h>

static bool is_address(struct str s)
{
    char text[INET6_ADDRSTRLEN], binary[sizeof(struct in6_addr)];

    if (s.n == 0 || s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    return inet_pton(AF_INET, text, binary) == 1 || inet_pton(AF_INET6, text, binary) == 1;
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
