/* forwarded.h -- who asks, seen through the proxies in front. */
#pragma once

#include "net/http.h"

/* What the farthest of so many proxies saw; anybody may have written what stands
 * before that in X-Forwarded-For. The address next to the last one that is not there otherwise. */
struct str forwarded_client(const struct http_head *head, struct str peer, int64_t proxies);
/* What one client has for itself, for limits: an IPv4 address, or an IPv6 network of 64 bits, of
 * which a client may take any address it likes. An IPv4 address in IPv6 form is that address. */
struct str client_network(struct arena *a, struct str address);
