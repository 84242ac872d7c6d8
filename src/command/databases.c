/* databases.c -- opens the databases of a data directory. */
#include "command/databases.h"

#include <unistd.h>

enum err databases_open(struct ctx *cx, struct str data_dir, struct databases *ret)
{
    const struct db_options options = {.readers_max = 2, .clock = cx->clock};

    *ret = (struct databases){{NULL}};
    for (size_t i = 0; all_services[i]; i++) {
        const char *name = all_services[i]->name;
        struct str file = arena_printf(cx->arena, "%.*s/%s.db", STR_ARG(data_dir), name);
        if (!all_services[i]->migrations || access(file.p, F_OK) != 0)
            continue;
        enum err e = db_open(cx, arena_printf(cx->arena, "sqlite:%.*s", STR_ARG(data_dir)).p, name,
                             &options, &ret->db[i]);
        if (e != ERR_OK) {
            databases_close(ret);
            return e;
        }
    }
    return ERR_OK;
}

void databases_close(struct databases *d)
{
    for (size_t i = 0; i < COUNT_OF(d->db); i++) {
        db_close(d->db[i]);
        d->db[i] = NULL;
    }
}

struct db *databases_get(void *databases, const char *service)
{
    struct databases *d = databases;

    for (size_t i = 0; all_services[i]; i++)
        if (strcmp(all_services[i]->name, service) == 0)
            return d->db[i];
    return NULL;
}
