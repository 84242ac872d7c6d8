/*
 * peers.h -- where services are that run in other processes: a list that was given, a pattern for
 * names that DNS knows, and what a discovery source says at run time.
 */
#pragma once

#include "base/ctx.h"

#define PEERS_MAX 32          /* services */
#define PEER_ADDRESSES_MAX 16 /* of one service */
#define PEER_ADDRESS_SIZE 256 /* with NUL */
#define PEER_WEIGHT_MAX 1000
#define PEER_NAME_SIZE 32 /* with NUL: [a-z0-9-] */

struct peers; /* thread-safe */

struct peer_address {
    char url[PEER_ADDRESS_SIZE]; /* "http://HOST:PORT", with no slash at the end */
    int weight;                  /* its share of what the gateway sends; 1 unless given */
};

/*
 * Reads `order=http://127.0.0.1:7004,store=http://a:1|http://b:1,*=http://{service}:8081`; "*" is
 * for every service that is not named, and {service} in an address is the service's name. An
 * address may have a weight, `http://a:1*90|http://b:1*10`, from 0 to PEER_WEIGHT_MAX. Nothing
 * (STR_NONE) knows nobody. ERR_INVALID says which part is wrong and what is expected.
 */
enum err peers_read(struct ctx *cx, struct str spec, struct peers **ret) MUST_USE;
void peers_close(struct peers *peers); /* NULL is fine */

/*
 * Copies up to `max` addresses; how many. What a discovery source said counts before what was
 * given, and that before the pattern. Each call begins with another address, so that the first one
 * is not always the same.
 */
size_t peers_list(struct peers *peers, const char *service, struct peer_address *out, size_t max);
bool peers_know(struct peers *peers, const char *service); /* takes no turn */

/*
 * From a discovery source: these are the service's addresses now. n == 0 forgets what the source
 * said, and the given ones count again. ERR_INVALID: not an address, or too many; nothing changes.
 */
enum err peers_set(struct ctx *cx, struct peers *peers, const char *service,
                   const struct str *addresses, size_t n) MUST_USE;
