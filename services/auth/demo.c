/* demo.c -- the people of the demo world; all have one well-known password. */
#include "service/demo.h"

#include "auth/auth.h"
#include "security/password.h"

#define DEMO_PASSWORD STR("jumun-demo-1")

static const char *const customer_names[DEMO_CUSTOMERS] = {
    "김민지", "이서준", "박도윤", "최하은", "정시우", "강지우", "조서연",
    "윤하준", "장수아", "임지호", "한예준", "오지안", "서윤서", "신건우",
    "권다은", "황은우", "안서현", "송우진", "류채원", "홍준우"};

struct person {
    struct uuid id;
    const char *username, *name, *role;
};

static enum err add(struct ctx *cx, const struct person *p, const char *hash)
{
    int64_t changed = 0;
    struct str email = arena_printf(cx->arena, "%s@demo.jumun.test", p->username);

    TRY(db_change(
        cx, &changed,
        "insert into accounts (account_id, username, email, password_hash, name, role, created_at,"
        " updated_at) values ($1, $2, $3, $4, $5, $6, $7, $7) on conflict do nothing",
        ARGS(db_uuid(p->id), db_str(str_from(p->username)), db_str(email), db_str(str_from(hash)),
             db_str(str_from(p->name)), db_str(str_from(p->role)), db_int(ctx_now(cx)))));
    return ERR_OK;
}

static enum err add_all(struct ctx *cx, const char *hash)
{
    static const char *const owner_names[DEMO_OWNERS] = {"박사장", "최사장", "정사장"};
    const struct person staff = {demo_id(DEMO_STAFF, 1, 0, 0), "staff1", "이직원", "staff"};
    const struct person admin = {demo_id(DEMO_ADMIN, 1, 0, 0), "admin1", "운영자", "admin"};

    for (unsigned i = 1; i <= DEMO_CUSTOMERS; i++) {
        const char *username = i == 1 ? "minji" : arena_printf(cx->arena, "customer%u", i).p;
        const struct person p = {demo_id(DEMO_CUSTOMER, i, 0, 0), username, customer_names[i - 1],
                                 "customer"};
        TRY(add(cx, &p, hash));
    }
    for (unsigned i = 1; i <= DEMO_OWNERS; i++) {
        const struct person p = {demo_id(DEMO_OWNER, i, 0, 0),
                                 arena_printf(cx->arena, "owner%u", i).p, owner_names[i - 1],
                                 "owner"};
        TRY(add(cx, &p, hash));
    }
    TRY(add(cx, &staff, hash));
    return add(cx, &admin, hash);
}

enum err auth_demo(struct ctx *cx)
{
    char hash[PASSWORD_TEXT];
    int64_t there = 0;

    TRY(db_int_of(cx, &there, "select count(*) from accounts where account_id = $1",
                  ARGS(db_uuid(demo_id(DEMO_ADMIN, 1, 0, 0)))));
    if (there)
        return ERR_OK;
    TRY(password_hash(cx, DEMO_PASSWORD,
                      hash)); /* one for all: twenty-five hashes would take seconds */
    TRY(db_begin(cx));
    TRY(add_all(cx, hash));
    TRY(db_commit(cx));
    return db_durable(cx);
}

enum err auth_refuse_demo(struct ctx *cx)
{
    int64_t there = 0;

    for (enum demo_kind kind = DEMO_CUSTOMER; kind <= DEMO_ADMIN && !there; kind++)
        TRY(db_int_of(
            cx, &there,
            "select count(*) from accounts where account_id between $1 and $2"
            " and withdrawn_at is null",
            ARGS(db_uuid(demo_id(kind, 0, 0, 0)), db_uuid(demo_id(kind, 0xffff, 0xffff, 0xffff)))));
    if (!there)
        return ERR_OK;
    return fail(cx, ERR_INVALID,
                "JUMUN_ENV is production, and here are accounts of the demo world, whose password"
                " everybody knows: begin with an empty --data or --database");
}
