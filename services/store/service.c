/* service.c -- the store service's tables: who may call what, what it follows, what it does by
 * itself. */
#include "migrations_store.h"
#include "store/stock.h"

#define OWN "/v1/owner/stores/{storeId}"
#define SHOP (OWNER | STAFF)
#define EATER (GUEST | CUSTOMER)

/* clang-format off */
static const struct route routes[] = {
    {HTTP_GET, "/v1/categories", ANYONE, categories_get, NULL, NULL, category_fields, LIST, 200, NULL, "Cuisines, in the order to show them.", EATER},
    {HTTP_GET, "/v1/stores", ANYONE, stores_list, NULL, stores_query_fields, store_card_fields, LIST, 200, NULL, "Stores by name or initial consonants, category, nearness, open now.", EATER},
    {HTTP_GET, "/v1/stores/{storeId}", ANYONE, stores_get, NULL, NULL, store_public_fields, 0, 200, NULL, "One store with hours and origin of its ingredients.", EATER},
    {HTTP_GET, "/v1/stores/{storeId}/menu", ANYONE, menu_get, NULL, NULL, menu_fields, 0, 200, NULL, "The whole menu; ETag and 304.", EATER},
    {HTTP_GET, "/v1/stores/{storeId}/menu-items/{menuItemId}", ANYONE, menu_item_get, NULL, NULL, menu_item_fields, 0, 200, NULL, "One menu item with its options; its ETag is for the owner's If-Match.", EATER},

    {HTTP_GET, "/internal/v1/stores/{storeId}", SERVICE, stores_get, NULL, NULL, store_public_fields, INTERNAL, 200, NULL, "Is there such a store, and what is it?"},
    {HTTP_POST, "/v1/owner/stores", OWNER, owner_store_create, store_new_fields, NULL, store_owner_fields, IDEMPOTENT, 201, NULL, "Opens a store of one's own."},
    {HTTP_GET, "/v1/owner/stores", SHOP, owner_store_list, NULL, owner_list_query_fields, store_owner_fields, LIST, 200, NULL, "One's own stores, and those one works for."},
    {HTTP_GET, OWN, SHOP, owner_store_get, NULL, NULL, store_owner_fields, 0, 200, guard_menu, "A store as its owner sees it."},
    {HTTP_PATCH, OWN, OWNER, owner_store_patch, store_patch_fields, NULL, store_owner_fields, 0, 200, guard_owner, "Changes what is sent; takes If-Match."},
    {HTTP_DELETE, OWN, OWNER, owner_store_delete, NULL, NULL, NULL, 0, 204, guard_owner, "Closes it for good; 410 afterwards."},
    {HTTP_PUT, OWN "/hours", SHOP, hours_put, hours_body_fields, NULL, store_owner_fields, 0, 200, guard_menu, "Opening hours of every weekday."},
    {HTTP_POST, OWN "/pause", SHOP, store_pause, pause_body_fields, NULL, store_owner_fields, KEYED, 200, guard_menu, "Takes no orders for some minutes."},
    {HTTP_POST, OWN "/busy", SHOP, store_busy, busy_body_fields, NULL, store_owner_fields, 0, 200, guard_menu, "Much to do: so many minutes more than usual are shown; 0 ends it."},
    {HTTP_POST, OWN "/resume", SHOP, store_resume, NULL, NULL, store_owner_fields, KEYED, 200, guard_menu, "Takes orders again."},

    {HTTP_POST, "/v1/admin/categories", ADMIN, category_create, category_new_fields, NULL, category_fields, IDEMPOTENT, 201, NULL, "A cuisine more, at the end unless position says where."},
    {HTTP_PATCH, "/v1/admin/categories/{category}", ADMIN, category_patch, category_patch_fields, NULL, category_fields, 0, 200, NULL, "Renames or moves it."},
    {HTTP_DELETE, "/v1/admin/categories/{category}", ADMIN, category_delete, NULL, NULL, NULL, 0, 204, NULL, "Removes one that no store has."},
    {HTTP_POST, "/v1/admin/stores/{storeId}/ban", ADMIN, store_ban, store_ban_fields, NULL, NULL, 0, 204, NULL, "Out of sight, and nothing can be ordered there; what was ordered goes on."},
    {HTTP_POST, "/v1/admin/stores/{storeId}/unban", ADMIN, store_unban, store_ban_fields, NULL, NULL, 0, 204, NULL, "Shows it again."},
    {HTTP_POST, OWN "/sections", SHOP, section_create, section_new_fields, NULL, section_fields, IDEMPOTENT, 201, guard_menu, "A section of the menu, at its end."},
    {HTTP_PATCH, OWN "/sections/{sectionId}", SHOP, section_patch, section_patch_fields, NULL, section_fields, 0, 200, guard_menu, "Renames a section; takes the menu's ETag as If-Match."},
    {HTTP_DELETE, OWN "/sections/{sectionId}", SHOP, section_delete, NULL, NULL, NULL, 0, 204, guard_menu, "Removes an empty section."},
    {HTTP_PUT, OWN "/sections/order", SHOP, section_order, section_order_fields, NULL, NULL, 0, 204, guard_menu, "The order of the sections."},
    {HTTP_POST, OWN "/menu-items", SHOP, menu_item_create, item_new_fields, NULL, menu_item_fields, IDEMPOTENT, 201, guard_menu, "A menu item, at the end of its section."},
    {HTTP_PATCH, OWN "/menu-items/{menuItemId}", SHOP, menu_item_patch, item_patch_fields, NULL, menu_item_fields, 0, 200, guard_menu, "Changes what is sent; takes If-Match."},
    {HTTP_DELETE, OWN "/menu-items/{menuItemId}", SHOP, menu_item_delete, NULL, NULL, NULL, 0, 204, guard_menu, "Takes it off the menu."},
    {HTTP_PUT, OWN "/menu-items/order", SHOP, menu_item_order, item_order_fields, NULL, NULL, 0, 204, guard_menu, "The order of the items of a section."},
    {HTTP_PUT, OWN "/menu-items/{menuItemId}/sold-out", SHOP, menu_item_sold_out, sold_out_fields, NULL, menu_item_fields, 0, 200, guard_menu, "The sold-out switch."},
    {HTTP_POST, OWN "/option-groups", SHOP, option_group_create, group_new_fields, NULL, option_group_fields, IDEMPOTENT, 201, guard_menu, "A group of options of a menu item."},
    {HTTP_PATCH, OWN "/option-groups/{optionGroupId}", SHOP, option_group_patch, group_patch_fields, NULL, option_group_fields, 0, 200, guard_menu, "Changes what is sent; options come as a whole; takes the menu's ETag as If-Match."},
    {HTTP_DELETE, OWN "/option-groups/{optionGroupId}", SHOP, option_group_delete, NULL, NULL, NULL, 0, 204, guard_menu, "Removes a group."},
    {HTTP_PUT, OWN "/option-groups/order", SHOP, option_group_order, group_order_fields, NULL, NULL, 0, 204, guard_menu, "The order of an item's groups."},

    {HTTP_GET, OWN "/menu-items/{menuItemId}/stock", SHOP, stock_get, NULL, NULL, stock_fields, 0, 200, guard_stock, "Counts and the latest movements."},
    {HTTP_GET, OWN "/menu-items/{menuItemId}/stock/ledger", SHOP, stock_ledger, NULL, stock_ledger_query_fields, movement_fields, LIST, 200, guard_stock, "Every movement, newest first."},
    {HTTP_POST, OWN "/menu-items/{menuItemId}/stock/adjustments", SHOP, stock_adjust, stock_adjust_fields, NULL, stock_fields, IDEMPOTENT, 200, guard_stock, "More or fewer, or a new count, with the reason; takes If-Match."},
    {HTTP_PUT, OWN "/menu-items/{menuItemId}/stock/mode", SHOP, stock_mode, stock_mode_fields, NULL, stock_fields, 0, 200, guard_stock, "Counted or not; takes If-Match."},
    {0},
};
/* clang-format on */

static const char *const topics[] = {"auth", "order", NULL};

static const char *const snapshots[] = {"store.changed", "store.menu.changed",
                                        "store.staff.changed", NULL};

static const struct job jobs[] = {
    {"store.holds", 5 * US_PER_MIN, holds_ask, "asks about holds that are older than any order's"},
    {"store.ledger", US_PER_HOUR, ledger_check, "counts against the ledger and the reservations"},
    {0},
};

static enum err start(struct ctx *cx)
{
    struct menu_cache *cache;

    TRY(menu_cache_open(cx, &cache));
    svc_set_state(cx->svc, cache);
    return ERR_OK;
}

static void stop(struct svc *svc)
{
    menu_cache_close(svc_state(svc));
}

const struct service store_service = {
    .name = "store",
    .routes = routes,
    .topics = topics,
    .consumers = store_consumers,
    .jobs = jobs,
    .snapshots = snapshots,
    .migrations = migrations_store,
    .start = start,
    .stop = stop,
    .demo = store_demo,
};
