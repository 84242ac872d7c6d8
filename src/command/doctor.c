/* doctor.c -- says in plain words what is wrong with what a platform needs, and audits its data. */
#include "command/doctor.h"
#include "command/databases.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "invariants.h"

#define PASSES 4
#define ALIKE_MAX 10
#define PASS_GAP_MS 700
#define DISK_LOW_BYTES (200LL * 1024 * 1024)

static int problems;

void doctor_good(const char *what, const char *detail)
{
    printf("ok    %s%s%s\n", what, detail[0] ? ": " : "", detail);
}

void doctor_bad(const char *what, const char *detail)
{
    printf("FAIL  %s: %s\n", what, detail);
    problems++;
}

static void check_directory(struct ctx *cx, struct str data)
{
    const char *dir = arena_cstr(cx->arena, data);
    struct statvfs fs;

    if (access(dir, F_OK) != 0) {
        doctor_bad(
            "data directory",
            arena_printf(cx->arena, "%s does not exist; `jumun up --data %s` makes it", dir, dir)
                .p);
        return;
    }
    if (access(dir, R_OK | W_OK | X_OK) != 0)
        doctor_bad("data directory",
                   arena_printf(cx->arena, "%s cannot be read and written by this user", dir).p);
    else
        doctor_good("data directory", dir);
    if (statvfs(dir, &fs) != 0)
        return;
    long long left = (long long)fs.f_bavail * (long long)fs.f_frsize;
    const char *text = arena_printf(cx->arena, "%lld MiB left", left / (1024 * 1024)).p;
    if (left < DISK_LOW_BYTES)
        doctor_bad("disk", text);
    else
        doctor_good("disk", text);
}

static void check_database(struct ctx *cx, const struct service *s, struct db *db)
{
    const char *what = arena_printf(cx->arena, "database %s", s->name).p;
    struct list pending = {NULL, 0};
    int64_t parked = 0, waiting = 0;

    cx->db = db;
    enum err e = migrate(cx, s->migrations, true, &pending);
    if (e == ERR_OK && pending.n == 0)
        e = db_int_of(cx, &parked, "select count(*) from parked", NO_ARGS);
    if (e == ERR_OK && pending.n == 0)
        e = db_int_of(cx, &waiting, "select count(*) from outbox where published_at is null",
                      NO_ARGS);
    cx->db = NULL;
    if (e != ERR_OK)
        doctor_bad(what, cx->story.detail);
    else if (pending.n > 0)
        doctor_bad(what,
                   arena_printf(cx->arena, "%zu migrations are to run; `jumun migrate %s` does it",
                                pending.n, s->name)
                       .p);
    else if (parked > 0)
        doctor_bad(what, arena_printf(cx->arena, "%lld dead letters; `jumun dlq list` shows them",
                                      (long long)parked)
                             .p);
    else
        doctor_good(
            what,
            arena_printf(cx->arena, "%lld events wait to be published", (long long)waiting).p);
}

/* Beside a platform it may be locked for a moment: that is no trouble. */
static void check_bus(struct ctx *cx, const struct settings *s)
{
    const struct db_options options = {.readers_max = 1, .must_exist = true, .clock = cx->clock};
    const char *dir = arena_printf(cx->arena, "sqlite:%.*s", STR_ARG(s->data)).p;
    struct db *db = NULL;

    if (!s->bus.n && db_open(cx, dir, "bus", &options, &db) == ERR_DAMAGED)
        doctor_bad("bus", cx->story.detail);
    db_close(db);
}

/* False: one cannot be opened. */
static bool check_databases(struct ctx *cx, const struct settings *s, struct databases *ret)
{
    bool all = true;

    *ret = (struct databases){{NULL}};
    for (size_t i = 0; all_services[i]; i++) {
        if (databases_open_one(cx, s, i, ret) != ERR_OK) {
            doctor_bad(arena_printf(cx->arena, "database %s", all_services[i]->name).p,
                       cx->story.detail);
            all = false;
        } else if (ret->db[i]) {
            check_database(cx, all_services[i], ret->db[i]);
        }
    }
    return all;
}

static bool same(const struct audit_finding *a, const struct audit_finding *b)
{
    return a->row == b->row && uuid_eq(a->key, b->key) && a->left == b->left &&
           a->right == b->right;
}

/* Findings of the last pass that were there before it too: a running platform has work in flight.
 */
static struct list settled(struct ctx *cx, struct list before, struct list now)
{
    struct list both = {arena_array(cx->arena, now.n + 1, sizeof(struct audit_finding)), 0};

    for (size_t i = 0; i < now.n; i++)
        for (size_t k = 0; k < before.n; k++) {
            const struct audit_finding *f = LIST_AT(struct audit_finding, now, i);
            if (same(f, LIST_AT(struct audit_finding, before, k))) {
                *LIST_AT(struct audit_finding, both, both.n++) = *f;
                break;
            }
        }
    return both;
}

enum err audit_settled(struct ctx *cx, struct databases *d, struct list *ret, size_t *ret_checked)
{
    const struct timespec gap = {PASS_GAP_MS / 1000, PASS_GAP_MS % 1000 * 1000000L};
    struct list findings = {NULL, 0};
    size_t checked = 0;

    TRY(audit_run(cx, invariants, databases_get, d, &findings, &checked));
    for (int pass = 1; pass < PASSES && findings.n > 0; pass++) {
        struct list now;
        nanosleep(&gap, NULL);
        TRY(audit_run(cx, invariants, databases_get, d, &now, &checked));
        findings = settled(cx, findings, now);
    }
    *ret = findings;
    *ret_checked = checked;
    return ERR_OK;
}

/* The first few of each row, and how many more there are. */
static void audit_told(struct ctx *cx, struct list findings)
{
    size_t alike = 0;

    for (size_t i = 0; i < findings.n; i++) {
        const struct audit_finding *f = LIST_AT(struct audit_finding, findings, i);
        bool last = i + 1 == findings.n || f[1].row != f->row;
        if (++alike <= ALIKE_MAX)
            doctor_bad("audit", arena_cstr(cx->arena, audit_text(cx, f)));
        else if (last)
            doctor_bad("audit", arena_printf(cx->arena, "%s %s: and %zu%s like it before",
                                             f->row->invariant, f->row->doc, alike - ALIKE_MAX,
                                             alike == AUDIT_FINDINGS_MAX ? " or more" : "")
                                    .p);
        if (last)
            alike = 0;
    }
}

static void audit(struct ctx *cx, const struct settings *s, struct databases *d)
{
    struct list findings = {NULL, 0};
    size_t checked = 0;

    if (audit_settled(cx, d, &findings, &checked) != ERR_OK) {
        doctor_bad("audit", cx->story.detail);
        return;
    }
    audit_told(cx, findings);
    if (!checked)
        doctor_bad("audit",
                   arena_printf(cx->arena, "nothing could be checked: the databases are not in %s",
                                databases_where(cx, s))
                       .p);
    else if (findings.n == 0)
        doctor_good("audit", arena_printf(cx->arena, "%zu checks, nothing found", checked).p);
}

static int problems_told(void)
{
    if (problems)
        printf("%d problem%s\n", problems, problems == 1 ? "" : "s");
    return problems ? EXIT_FAILED : EXIT_DONE;
}

int command_doctor(struct ctx *cx, const struct settings *s, struct list words)
{
    struct databases d;

    (void)words;
    problems = 0;
    check_directory(cx, s->data);
    bool opens = problems == 0;
    doctor_keys(cx, s);
    opens = doctor_servers(cx, s) && (opens || s->database.n);
    if (!opens)
        return problems_told();
    bool all = check_databases(cx, s, &d);
    check_bus(cx, s);
    if (databases_get(&d, "auth"))
        doctor_signing_keys(cx, s, databases_get(&d, "auth"));
    if (s->audit && all)
        audit(cx, s, &d);
    else if (s->audit)
        doctor_bad("audit", "it needs all databases");
    databases_close(&d);
    return problems_told();
}
