/* demo.c -- an address for every customer of the demo world, near the stores. */
#include "service/demo.h"

#include "user/user.h"

struct place {
    const char *zip_code, *address;
    int64_t latitude, longitude; /* degrees * 10^7 */
};
static const struct place places[] = {
    {"06236", "서울 강남구 테헤란로 152", 375000000, 1270365000},
    {"04066", "서울 마포구 양화로 160", 375563000, 1269236000},
    {"03154", "서울 종로구 종로 33", 375703000, 1269816000},
    {"05551", "서울 송파구 올림픽로 300", 375125000, 1271025000},
};

static enum err add(struct ctx *cx, unsigned i)
{
    const struct place *p = &places[(i - 1) % COUNT_OF(places)];
    struct uuid user = demo_id(DEMO_CUSTOMER, i, 0, 0);
    int64_t changed = 0;

    TRY(db_change(
        cx, &changed,
        "insert into address_books (user_id, addresses) values ($1, 1) on conflict do nothing",
        ARGS(db_uuid(user))));
    if (changed == 0)
        return ERR_OK;
    return db_exec(
        cx,
        "insert into addresses (address_id, user_id, label, recipient, phone, address1, address2,"
        " zip_code, latitude, longitude, is_default, created_at, updated_at)"
        " values ($1, $2, '집', '받는 분', $3, $4, $5, $6, $7, $8, 1, $9, $9)",
        ARGS(db_uuid(demo_id(DEMO_ADDRESS, i, 0, 0)), db_uuid(user),
             db_str(arena_printf(cx->arena, "010-0000-%04u", i)), db_str(str_from(p->address)),
             db_str(arena_printf(cx->arena, "%u호", 100 + i)), db_str(str_from(p->zip_code)),
             db_int(p->latitude), db_int(p->longitude), db_int(ctx_now(cx))));
}

enum err user_demo(struct ctx *cx)
{
    TRY(db_begin(cx));
    for (unsigned i = 1; i <= DEMO_CUSTOMERS; i++)
        TRY(add(cx, i));
    TRY(db_commit(cx));
    return db_durable(cx);
}
