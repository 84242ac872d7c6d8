/* db_work.h -- what the tests of a database on a server share: who works, on which server. */
#pragma once

#include "test.h"

#include "work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

/* Set by tests/servers/postgres. CTL takes words, see there. */
static const char *url, *ctl;
static const struct db_options options = {.readers_max = 4, .clock = &clock_system};

static inline struct db *open_db(const char *name)
{
    struct work w;
    struct db *db = NULL;
    work_init(&w, NULL);
    if (db_open(&w.cx, url, name, &options, &db) != ERR_OK) {
        printf("Bail out! cannot open %s: %s\n", name, w.cx.story.detail);
        exit(1);
    }
    work_release(&w);
    return db;
}

static inline enum err script(struct ctx *cx, const char *sql)
{
    TRY(db_begin(cx));
    TRY(db_script(cx, sql));
    return db_commit(cx);
}

static inline void control(const char *verb)
{
    char command[300];
    snprintf(command, sizeof(command), "%s %s >/dev/null 2>&1", ctl, verb);
    if (system(command) != 0) /* NOLINT(cert-env33-c): our own wrapper */
        printf("# %s did not go well\n", verb);
}

/* False: there is no server to test. */
static inline bool server_named(void)
{
    url = getenv("TEST_POSTGRES");
    ctl = getenv("TEST_POSTGRES_CTL");
    if (!url || !ctl)
        printf("# no TEST_POSTGRES: nothing to do here\n");
    return url && ctl;
}
