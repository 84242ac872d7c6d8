/* contract.h -- the HTTP contract (OpenAPI 3.1) of a set of services, from their route tables. */
#pragma once

#include "base/buf.h"
#include "service/service.h"

/*
 * services: NULL-terminated. Beyond the standard, each operation has `x-who` (the callers it is
 * open to) and `x-listener` (public, internal or toss): the authorisation tests are made from them.
 */
void contract_openapi(struct buf *b, const struct service *const *services, const char *version);
