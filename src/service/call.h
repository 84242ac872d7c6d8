/*
 * call.h -- one service asks another by its HTTP contract: through the dispatcher of this process,
 * as the calling service, with the caller's trace and deadline. Whoever takes services apart puts
 * the network here; those who call see no difference.
 */
#pragma once

#include "service/service.h"

/*
 * The peer's answer is durable when this returns. `body` may be NULL; `out` may be NULL. A problem
 * of the peer comes back as the same enum err (404 -> ERR_NOT_FOUND, codes by name); not in
 * this process -> ERR_UNAVAILABLE. Never inside a transaction (asserted).
 */
enum err call_service(struct ctx *cx, const char *service, enum http_method method,
                      const char *path, const struct field *body_fields, const void *body,
                      const struct field *out_fields, void *out) MUST_USE;
