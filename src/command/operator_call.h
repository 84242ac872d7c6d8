/* operator_call.h -- a call to a running platform in the operator's name. */
#pragma once

#include "command/command.h"

/*
 * Asks the internal listener of these settings; body STR_NONE: none. The name is proven by the
 * platform's signing keys, or by operator.key where services know each other by keys.
 * ERR_INVALID: it does not believe us, and the story says which settings have to be its own,
 * or it has not that service.
 * ERR_NOT_FOUND and ERR_CONSTRAINT for 404 and 409, ERR_UPSTREAM for other refusals,
 * ERR_UNAVAILABLE: nobody answers.
 */
enum err operator_call(struct ctx *cx, const struct settings *s, const char *service,
                       enum http_method method, const char *path, struct str body,
                       struct str *ret_body) MUST_USE;
