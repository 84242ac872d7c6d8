/* menu_event_test.c -- the event with a whole menu stays far below what an event may have: the
 * largest menu an owner can make, and one with very many deleted items. */
#include "test.h"

#include <ftw.h>
#include <unistd.h>

#include "bus/bus.h"
#include "service/demo.h"
#include "service/platform.h"
#include "store/stock.h"

#define FAR_BELOW (224 * 1024)

static struct {
    struct clock clock;
    struct arena arena, answers; /* answers: until the next call */
    struct platform *p;
    char dir[64];
    struct rng rng;
    struct caller owner;
    struct uuid store_id;
    struct str body;
    struct uuid items[MENU_ITEMS_MAX];
} w;

static const struct service *const services[] = {&store_service, NULL};

static struct ctx ctx_of_store(void)
{
    struct ctx cx;

    platform_ctx(w.p, platform_service(w.p, "store"), &w.arena, &cx);
    return cx;
}

static int64_t number(const char *sql)
{
    struct ctx cx = ctx_of_store();
    int64_t n = -1;

    CHECK(db_int_of(&cx, &n, sql, ARGS(db_uuid(w.store_id))) == ERR_OK);
    return n;
}

struct owner_row {
    struct uuid owner_id, section_id;
};
static const struct field owner_row_fields[] = {
    F_UUID(struct owner_row, owner_id, "ownerId", 0, ""),
    F_UUID(struct owner_row, section_id, "sectionId", 0, ""),
    F_END(struct owner_row),
};

static struct owner_row owner_of(struct uuid store_id)
{
    struct ctx cx = ctx_of_store();
    struct owner_row row = {0};

    CHECK(db_one(&cx, owner_row_fields, &row,
                 "select s.owner_id, c.section_id from stores s join sections c on c.store_id ="
                 " s.store_id where s.store_id = $1 order by c.position limit 1",
                 ARGS(db_uuid(store_id))) == ERR_OK);
    return row;
}

static void setup(void)
{
    struct ctx cx;

    snprintf(w.dir, sizeof w.dir, "/tmp/menu_event_test.XXXXXX");
    CHECK(mkdtemp(w.dir) != NULL);
    arena_init(&w.arena, 256 * 1024 * 1024);
    arena_init(&w.answers, 64 * 1024 * 1024);
    rng_seed(&w.rng, 1);
    CHECK(time_parse(STR("2026-11-23T03:00:00Z"), &w.clock.virtual_us));
    w.clock.is_virtual = true;
    cx = (struct ctx){.arena = &w.arena, .clock = &w.clock, .rng = &w.rng};
    const struct platform_options options = {.services = services,
                                             .data_dir = str_from(w.dir),
                                             .clock = &w.clock,
                                             .seed = 7,
                                             .issuer = STR("http://test"),
                                             .demo = true};
    if (platform_start(&cx, &options, &w.p) != ERR_OK) {
        printf("Bail out! %s\n", cx.story.detail);
        exit(1);
    }
    w.store_id = demo_id(DEMO_STORE, 1, 0, 0);
    w.owner = (struct caller){.role = OWNER, .user_id = owner_of(w.store_id).owner_id};
}

static int forget_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st, (void)type, (void)at;
    return remove(path);
}

static void teardown(void)
{
    platform_stop(w.p, 1000);
    nftw(w.dir, forget_file, 8, FTW_DEPTH | FTW_PHYS);
    arena_release(&w.answers);
    arena_release(&w.arena);
}

static const char *id_text(struct uuid id)
{
    struct ctx cx = ctx_of_store();
    return ctx_uuid_text(&cx, id);
}

/* By the owner, below the store's own path. */
static int owner_does(enum http_method method, const char *path, struct str body)
{
    static int keys;
    int status = 0;

    arena_reset(&w.answers);
    struct str full = arena_printf(&w.arena, "/v1/owner/stores/%s%s", id_text(w.store_id), path);
    const struct http_field key = {STR("Idempotency-Key"),
                                   arena_printf(&w.arena, "key-%d", ++keys)};
    const struct local_request rq = {.method = method,
                                     .path = full.p,
                                     .body = body,
                                     .headers = &key,
                                     .n_headers = 1,
                                     .as = &w.owner};
    enum err e = platform_request(w.p, &w.answers, &rq, &status, &w.body);
    CHECK((e == ERR_OK) == (status < 400));
    return status;
}

/* The first id in the answer. */
static struct uuid answered_id(const char *name)
{
    struct uuid id = UUID_NIL;
    size_t at = str_find(w.body, str_from(name));

    CHECK(at != SIZE_MAX);
    at += strlen(name) + 3;
    CHECK(at + 36 <= w.body.n && uuid_parse((struct str){w.body.p + at, 36}, &id));
    return id;
}

/* As long as a name may be, in characters that take most bytes. */
static const char *long_name(void)
{
    static char name[60 * 4 + 1];

    for (int i = 0; i < 60; i++)
        memcpy(&name[i * 4], "\xf0\x9f\x8d\x97", 4);
    return name;
}

static int add_item(struct uuid section_id)
{
    return owner_does(HTTP_POST, "/menu-items",
                      arena_printf(&w.arena,
                                   "{\"sectionId\":\"%s\",\"name\":\"%s\",\"priceWon\":1000000,"
                                   "\"description\":\"\",\"allergens\":\"\",\"origin\":\"\"}",
                                   id_text(section_id), long_name()));
}

static int add_group(struct uuid item_id, int options)
{
    struct buf b;

    buf_init_arena(&b, &w.arena, 100000);
    buf_printf(&b, "{\"menuItemId\":\"%s\",\"name\":\"%s\",\"min\":0,\"max\":1,\"options\":[",
               id_text(item_id), long_name());
    for (int i = 0; i < options; i++)
        buf_printf(&b, "%s{\"name\":\"%s\",\"priceWon\":1000000}", i ? "," : "", long_name());
    buf_lit(&b, "]}");
    return owner_does(HTTP_POST, "/option-groups", buf_str(&b));
}

static int64_t items_in_event(bool deleted)
{
    return number(deleted ? "select (length(data) - length(replace(data, '\"deleted\":true', '')))"
                            " / 14 from outbox where aggregate_id = $1 and type ="
                            " 'store.menu.changed' order by aggregate_seq desc limit 1"
                          : "select (length(data) - length(replace(data, '\"deleted\":false', '')))"
                            " / 15 from outbox where aggregate_id = $1 and type ="
                            " 'store.menu.changed' order by aggregate_seq desc limit 1");
}

/* length() counts characters: the bytes of an event in which nearly all have four. */
static int64_t event_size(void)
{
    return number("select length(cast(data as blob)) from outbox where aggregate_id = $1"
                  " and type = 'store.menu.changed' order by aggregate_seq desc limit 1");
}

/* As many items as there may be, then options until there is no room. */
static void fill(void)
{
    struct uuid section_id = owner_of(w.store_id).section_id;
    int64_t there = number("select count(*) from menu_items where store_id = $1");
    int n = 0, status;

    for (; there + n < MENU_ITEMS_MAX; n++) {
        CHECK_INT(add_item(section_id), 201);
        w.items[n] = answered_id("menuItemId");
    }
    CHECK_INT(add_item(section_id), 409);
    for (int i = 0; (status = add_group(w.items[i / OPTION_GROUPS_MAX], OPTIONS_MAX)) == 201; i++)
        CHECK(i < MENU_ITEMS_MAX * OPTION_GROUPS_MAX);
    CHECK_INT(status, 409);
    CHECK(str_find(w.body, STR("이름과 옵션은 192KiB를 넘을 수 없습니다")) != SIZE_MAX);
    for (int i = 0; (status = add_group(w.items[200 + i / OPTION_GROUPS_MAX], 1)) == 201; i++)
        ;
    CHECK_INT(status, 409);
}

static void the_largest_menu_fits(void)
{
    setup();
    fill();
    int64_t full = event_size();
    CHECK(full > MENU_EVENT_BYTES - 1000 && full <= MENU_EVENT_BYTES);
    /* Every switch, and more deletions in a minute than are shown. */
    for (int i = 0; i < 100; i++) {
        struct str path = arena_printf(&w.arena, "/menu-items/%s/sold-out", id_text(w.items[i]));
        CHECK_INT(owner_does(HTTP_PUT, path.p, STR("{\"soldOut\":true}")), 200);
        CHECK_INT(owner_does(HTTP_PUT, path.p, STR("{\"soldOut\":false}")), 200);
    }
    int64_t before =
        number("select count(*) from menu_items where store_id = $1 and deleted_at is null");
    for (int i = 100; i < 170; i++) {
        struct str path = arena_printf(&w.arena, "/menu-items/%s", id_text(w.items[i]));
        CHECK_INT(owner_does(HTTP_DELETE, path.p, STR_NONE), 204);
        CHECK_INT(add_item(owner_of(w.store_id).section_id), 201);
        CHECK(event_size() < FAR_BELOW);
    }
    CHECK_INT(items_in_event(true), DELETED_SHOWN_MAX);
    CHECK_INT(items_in_event(false), before);
    CHECK(event_size() > full);
    CHECK(event_size() < BUS_EVENT_MAX * 7 / 8);
    /* Told once: the next event has only what is on the menu. */
    w.clock.virtual_us += 2 * US_PER_MIN;
    struct str path = arena_printf(&w.arena, "/menu-items/%s/sold-out", id_text(w.items[0]));
    CHECK_INT(owner_does(HTTP_PUT, path.p, STR("{\"soldOut\":true}")), 200);
    CHECK_INT(items_in_event(true), 0);
    CHECK(event_size() <= full);
    teardown();
}

static void many_were_deleted(void)
{
    setup();
    struct ctx cx = ctx_of_store();
    struct uuid id = demo_id(DEMO_ITEM, 1, 1, 0);
    /* Ten thousand, the last of them a moment ago, each with a group and options of its own. */
    CHECK(db_begin(&cx) == ERR_OK);
    for (int i = 0; i < 10000; i++) {
        struct uuid item = ctx_uuid(&cx), group = ctx_uuid(&cx);
        arena_reset(&w.answers);
        cx.arena = &w.answers;
        CHECK(db_exec(&cx,
                      "insert into menu_items (menu_item_id, store_id, section_id, name,"
                      " description, price_won, allergens, origin, position, deleted_at)"
                      " select $1, store_id, section_id, name, description, price_won, allergens,"
                      " origin, position, $3 from menu_items where menu_item_id = $2",
                      ARGS(db_uuid(item), db_uuid(id),
                           db_int(w.clock.virtual_us - i * US_PER_S))) == ERR_OK);
        CHECK(stock_open(&cx, w.store_id, item, true, 0) == ERR_OK);
        CHECK(db_exec(&cx,
                      "insert into option_groups (option_group_id, store_id, menu_item_id, name,"
                      " min, max, position) values ($1, $2, $3, 'x', 0, 1, 1)",
                      ARGS(db_uuid(group), db_uuid(w.store_id), db_uuid(item))) == ERR_OK);
        for (int o = 0; o < 12; o++)
            CHECK(db_exec(&cx,
                          "insert into options (option_id, store_id, option_group_id, name,"
                          " price_won, position) values ($1, $2, $3, 'x', 0, $4)",
                          ARGS(db_uuid(ctx_uuid(&cx)), db_uuid(w.store_id), db_uuid(group),
                               db_int(o))) == ERR_OK);
    }
    CHECK(db_commit(&cx) == ERR_OK);
    struct str path = arena_printf(&w.arena, "/menu-items/%s/sold-out", id_text(id));
    CHECK_INT(owner_does(HTTP_PUT, path.p, STR("{\"soldOut\":true}")), 200);
    CHECK_INT(items_in_event(true), DELETED_SHOWN_MAX);
    CHECK(event_size() < 64 * 1024);
    const struct local_request rq = {
        .method = HTTP_GET,
        .path = arena_printf(&w.arena, "/v1/stores/%s/menu", id_text(w.store_id)).p,
        .as = &w.owner};
    int status = 0;
    CHECK(platform_request(w.p, &w.answers, &rq, &status, &w.body) == ERR_OK);
    CHECK_INT(status, 200);
    teardown();
}

int main(void)
{
    RUN(the_largest_menu_fits);
    RUN(many_were_deleted);
    return test_end();
}
