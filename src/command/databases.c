/* databases.c -- opens the databases that the settings name. */
#include "command/databases.h"

const char *settings_database(struct ctx *cx, const struct settings *s)
{
    return s->database.p ? arena_cstr(cx->arena, s->database)
                         : arena_printf(cx->arena, "sqlite:%.*s", STR_ARG(s->data)).p;
}

const char *databases_where(struct ctx *cx, const struct settings *s)
{
    return s->database.p
               ? "--database"
               : arena_printf(cx->arena, "%.*s: give the platform's --data, or its --database",
                              STR_ARG(s->data))
                     .p;
}

enum err databases_open_one(struct ctx *cx, const struct settings *s, size_t i,
                            struct databases *ret)
{
    const struct db_options options = {.readers_max = 2, .must_exist = true, .clock = cx->clock};

    if (!all_services[i]->migrations)
        return ERR_OK;
    enum err e =
        db_open(cx, settings_database(cx, s), all_services[i]->name, &options, &ret->db[i]);
    return e == ERR_NOT_FOUND ? ERR_OK : e;
}

enum err databases_open(struct ctx *cx, const struct settings *s, struct databases *ret)
{
    *ret = (struct databases){{NULL}};
    for (size_t i = 0; all_services[i]; i++) {
        enum err e = databases_open_one(cx, s, i, ret);
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
