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

enum err databases_open(struct ctx *cx, const struct settings *s, struct databases *ret)
{
    const struct db_options options = {.readers_max = 2, .must_exist = true, .clock = cx->clock};
    const char *url = settings_database(cx, s);

    *ret = (struct databases){{NULL}};
    for (size_t i = 0; all_services[i]; i++) {
        if (!all_services[i]->migrations)
            continue;
        enum err e = db_open(cx, url, all_services[i]->name, &options, &ret->db[i]);
        if (e != ERR_OK && e != ERR_NOT_FOUND) {
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
