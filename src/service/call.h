/*
 * call.h -- one service asks another by its HTTP contract, as the calling service, with the
 * caller's trace and deadline: through the dispatcher of this process, or over HTTP at one of the
 * peer's internal addresses. Those who call see no difference.
 */
#pragma once

#include "service/service.h"

/*
 * The peer's answer is durable when this returns. `body` may be NULL; `out` may be NULL. A problem
 * of the peer comes back as the same enum err (404 -> ERR_NOT_FOUND, codes by name). Neither in
 * this process nor at a known address, or nobody answered and surely nothing was sent ->
 * ERR_UNAVAILABLE; sent, but the answer is unknown or makes no sense -> ERR_UPSTREAM. A GET is
 * asked again then, at the next address; other methods go to the next one only when nothing was
 * sent. Never inside a transaction (asserted).
 */
enum err call_service(struct ctx *cx, const char *service, enum http_method method,
                      const char *path, const struct field *body_fields, const void *body,
                      const struct field *out_fields, void *out) MUST_USE;
/* The same with the bytes of body and answer; body absent: none. The answer is in the arena. */
enum err call_service_bytes(struct ctx *cx, const char *service, enum http_method method,
                            const char *path, struct str body, struct str *ret) MUST_USE;
