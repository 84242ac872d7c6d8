/* race_test.c -- two processes meet on a server: at a timer, a job, or events that both publish. */
#include "db_work.h"

#include "flow/migrate.h"
#include "flow/outbox.h"
#include "flow/timer.h"

#include <ftw.h>

#define MEETINGS 40
#define EVENTS 50

static const struct migration no_scripts[] = {{NULL, NULL}};
static pthread_barrier_t at_once;
static atomic_int fired, robbed; /* robbed: the lease was gone while its holder worked */

static enum err fire(struct ctx *cx, struct uuid subject, int64_t attempt)
{
    const struct timespec work = {.tv_nsec = 20000000};
    int64_t lease = 0;

    (void)attempt;
    fired++;
    nanosleep(&work, NULL);
    TRY(db_int_of(cx, &lease, "select lease_until from timers where subject = $1",
                  ARGS(db_uuid(subject))));
    robbed += lease == 0;
    TRY(db_begin(cx));
    TRY(timer_clear(cx, "meet", subject));
    return db_commit(cx);
}

static const struct timer_row table[] = {
    {"meet", fire, true, "works outside for a while"},
    {NULL, NULL, false, NULL},
};

static atomic_int jobs_done;

static enum err do_job(struct ctx *cx)
{
    (void)cx;
    jobs_done++;
    return ERR_OK;
}

static const struct job jobs[] = {
    {"meet.job", US_PER_HOUR, do_job, "counts"},
    {0},
};

static struct bus *bus;
static const struct field no_fields[] = {{0}};

static enum err write_events(struct ctx *cx)
{
    TRY(db_begin(cx));
    for (int i = 0; i < EVENTS; i++)
        TRY(outbox_append(cx, "race.met", ctx_uuid(cx), no_fields, NULL));
    return db_commit(cx);
}

struct side {
    struct db *db;
    unsigned char number;
};

static void set(struct ctx *cx, unsigned char subject)
{
    CHECK_INT(db_begin(cx), ERR_OK);
    CHECK_INT(timer_set(cx, "meet", (struct uuid){{subject}}, ctx_now(cx) - 1), ERR_OK);
    CHECK_INT(db_exec(cx,
                      "insert into jobs (name, due_us, lease_until) values ('meet.job', 0, 0)"
                      " on conflict (name) do update set due_us = 0",
                      NO_ARGS),
              ERR_OK);
    CHECK_INT(db_commit(cx), ERR_OK);
}

static void *side_main(void *arg)
{
    const struct side *s = arg;
    struct relay relay = {0};
    struct work w;

    for (int i = 0; i < MEETINGS; i++) {
        size_t n = 0;
        int64_t next = 0;
        bool more = false;

        work_init(&w, s->db);
        w.cx.instance = (struct uuid){{s->number}};
        if (s->number == 1)
            set(&w.cx, (unsigned char)(i + 1));
        pthread_barrier_wait(&at_once);
        CHECK_INT(timers_run(&w.cx, table, 10, &n, &next), ERR_OK);
        pthread_barrier_wait(&at_once);
        CHECK_INT(jobs_run(&w.cx, jobs, &n, &next), ERR_OK);
        if (s->number == 1) {
            w.cx.instance = UUID_NIL; /* of a process that is gone: anybody's */
            CHECK_INT(write_events(&w.cx), ERR_OK);
        }
        pthread_barrier_wait(&at_once);
        CHECK_INT(outbox_relay(&w.cx, &relay, bus, &n, &more), ERR_OK);
        pthread_barrier_wait(&at_once);
        work_release(&w);
    }
    return NULL;
}

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int main(void)
{
    char dir[] = "/tmp/race_test.XXXXXX", at[64];
    int64_t waiting = 0, oldest = 0;
    struct work w;
    pthread_t thread;

    if (!server_named())
        return 0;
    struct side a = {open_db("timer_race"), 1}, b = {open_db("timer_race"), 2};
    work_init(&w, a.db);
    CHECK_INT(migrate(&w.cx, no_scripts, false, NULL), ERR_OK);
    CHECK(mkdtemp(dir));
    snprintf(at, sizeof at, "log:%s", dir);
    CHECK_INT(bus_open(&w.cx, at, &bus), ERR_OK);
    pthread_barrier_init(&at_once, NULL, 2);
    pthread_create(&thread, NULL, side_main, &b);
    side_main(&a);
    pthread_join(thread, NULL);
    CHECK_INT(fired, MEETINGS);
    CHECK_INT(robbed, 0);
    CHECK_INT(jobs_done, MEETINGS);
    CHECK_INT(outbox_lag(&w.cx, &waiting, &oldest), ERR_OK);
    CHECK_INT(waiting, 0);
    bus_close(bus);
    nftw(dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    work_release(&w);
    db_close(a.db);
    db_close(b.db);
    return test_end();
}
