/* databases.h -- the services' databases, opened beside a running platform or without one. */
#pragma once

#include "command/command.h"

struct databases {
    struct db *db[16]; /* by place in all_services; NULL: not there */
};
/* For db_open: what --database says, or files in --data. */
const char *settings_database(struct ctx *cx, const struct settings *s);
/* The same for people: no password. */
const char *databases_where(struct ctx *cx, const struct settings *s);
/* Opens the one of all_services[i], if that keeps data and it is there; else NULL stays. Nothing is
 * made or migrated. */
enum err databases_open_one(struct ctx *cx, const struct settings *s, size_t i,
                            struct databases *ret) MUST_USE;
/* All of them, or none. */
enum err databases_open(struct ctx *cx, const struct settings *s, struct databases *ret) MUST_USE;
/* Runs the audit a few times beside a running platform: only what stays is found. *ret: struct
 * audit_finding. */
enum err audit_settled(struct ctx *cx, struct databases *d, struct list *ret,
                       size_t *ret_checked) MUST_USE;
void databases_close(struct databases *d);
struct db *databases_get(void *databases, const char *service); /* an audit_database */
