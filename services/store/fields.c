/* fields.c -- the field tables of stores and menus: rows, replies, events. */
#include "store/menu.h"

const struct field rating_fields[] = {
    F_DECIMAL(struct rating, average, "average", 0, 2, 0, 500,
              "mean of all reviews, 0 without any"),
    F_INT(struct rating, count, "count", 0, 0, INT64_MAX, "reviews"),
    F_END(struct rating),
};

#define LATITUDE_FIELD                                                                             \
    F_DECIMAL(struct store, latitude, "latitude", 0, 6, -90000000, 90000000, "degrees north")
#define LONGITUDE_FIELD                                                                            \
    F_DECIMAL(struct store, longitude, "longitude", 0, 6, -180000000, 180000000, "degrees east")

/* Columns as they are; coordinates are plain integers there. */
const struct field store_row_fields[] = {
    F_UUID(struct store, store_id, "storeId", 0, "store"),
    F_UUID(struct store, owner_id, "ownerId", 0, "owner"),
    F_STR(struct store, name, "name", 0, 0, 100, "name"),
    F_STR(struct store, category, "category", 0, 0, 30, "category"),
    F_STR(struct store, description, "description", 0, 0, 2000, "description"),
    F_STR(struct store, phone, "phone", 0, 0, 20, "phone"),
    F_STR(struct store, address, "address", 0, 0, 200, "address"),
    F_STR(struct store, zip_code, "zipCode", 0, 0, 5, "postal code"),
    F_STR(struct store, region_code, "regionCode", 0, 0, 10, "region"),
    F_STR(struct store, business_number, "businessNumber", 0, 0, 12, "business number"),
    F_STR(struct store, photo_url, "photoUrl", 0, 0, 500, "photo"),
    F_STR(struct store, notice, "notice", 0, 0, 1000, "notice"),
    F_STR(struct store, origin, "origin", 0, 0, 2000, "origin of ingredients"),
    F_STR(struct store, pause_reason, "pauseReason", 0, 0, 200, "why it is paused"),
    F_STR(struct store, ban_reason, "banReason", 0, 0, 200, "why it is banned"),
    F_INT(struct store, latitude, "latitude", 0, INT64_MIN, INT64_MAX, "millionths of a degree"),
    F_INT(struct store, longitude, "longitude", 0, INT64_MIN, INT64_MAX, "millionths of a degree"),
    F_INT(struct store, radius_m, "radiusM", 0, 0, RADIUS_MAX_M, "delivery radius"),
    F_WON(struct store, minimum_order_won, "minimumOrderWon", 0, "minimum order"),
    F_WON(struct store, delivery_fee_won, "deliveryFeeWon", 0, "delivery fee"),
    F_INT(struct store, cook_minutes, "cookMinutes", 0, 0, 180, "usual cooking time"),
    F_INT(struct store, busy_minutes, "busyMinutes", 0, 0, BUSY_MAX_MINUTES, "longer than usual"),
    F_BOOL(struct store, is_banned, "isBanned", 0, "banned by an operator"),
    F_TIME(struct store, deleted_at, "deletedAt", 0, "deleted"),
    F_TIME(struct store, paused_until, "pausedUntil", 0, "takes no orders until then"),
    F_INT(struct store, rating_sum, "ratingSum", 0, 0, INT64_MAX, "sum of stars"),
    F_INT(struct store, rating_count, "ratingCount", 0, 0, INT64_MAX, "reviews"),
    F_INT(struct store, menu_version, "menuVersion", 0, 0, INT64_MAX, "version of the menu"),
    F_INT(struct store, version, "version", 0, 0, INT64_MAX, "version of the store"),
    F_TIME(struct store, created_at, "createdAt", 0, "created"),
    F_INT(struct store, place, "place", 0, INT64_MIN, INT64_MAX, "number it is sorted by"),
    F_END(struct store),
};

/* clang-format off */
#define CARD_FIELDS                                                                                \
    F_UUID(struct store, store_id, "storeId", READ_ONLY, "store"),                                 \
    F_STR(struct store, name, "name", 0, 1, 60, "name"),                                           \
    F_STR(struct store, category, "category", 0, 1, 30, "cuisine, see /v1/categories"),            \
    F_STR(struct store, photo_url, "photoUrl", NULLABLE, 0, 500, "photo"),                         \
    F_OBJECT(struct store, rating, "rating", 0, rating_fields, "stars"),                           \
    F_BOOL(struct store, is_open, "isOpen", 0, "takes orders now"),                                \
    F_TIME(struct store, opens_at, "opensAt", NULLABLE, "when it opens next, if closed"),          \
    F_WON(struct store, minimum_order_won, "minimumOrderWon", 0, "minimum order"),                 \
    F_WON(struct store, delivery_fee_won, "deliveryFeeWon", 0, "delivery fee"),                    \
    F_OPT_INT(struct store, distance_m, "distanceM", 0, 0, INT64_MAX, "metres, asked with near"),  \
    F_INT(struct store, eta_minutes, "etaMinutes", 0, 0, INT64_MAX, "usual time to the door")

#define DETAIL_FIELDS                                                                              \
    F_STR(struct store, description, "description", 0, 0, 2000, "description"),                    \
    F_STR(struct store, address, "address", 0, 0, 200, "address"),                                 \
    F_STR(struct store, zip_code, "zipCode", 0, 0, 5, "postal code"),                              \
    F_STR(struct store, region_code, "regionCode", 0, 0, 10, "region"),                            \
    F_STR(struct store, phone, "phone", 0, 0, 20, "phone"),                                        \
    F_STR(struct store, business_number, "businessNumber", 0, 0, 12, "business number"),           \
    LATITUDE_FIELD, LONGITUDE_FIELD,                                                               \
    F_INT(struct store, radius_m, "radiusM", 0, 0, RADIUS_MAX_M, "delivers as far as that"),       \
    F_LIST(struct store, hours, "hours", 0, 0, WEEKDAYS, hours_fields, "opening hours"),           \
    F_STR(struct store, origin, "origin", 0, 0, 2000, "origin of ingredients"),                    \
    F_STR(struct store, notice, "notice", 0, 0, 1000, "the owner's notice"),                       \
    F_TIME(struct store, paused_until, "pausedUntil", NULLABLE, "takes no orders until then")
/* clang-format on */

const struct field store_card_fields[] = {CARD_FIELDS, F_END(struct store)};
const struct field store_public_fields[] = {CARD_FIELDS, DETAIL_FIELDS, F_END(struct store)};

const struct field store_owner_fields[] = {
    CARD_FIELDS,
    DETAIL_FIELDS,
    F_INT(struct store, cook_minutes, "cookMinutes", 0, 0, 180, "usual cooking time"),
    F_INT(struct store, busy_minutes, "busyMinutes", 0, 0, BUSY_MAX_MINUTES, "longer than usual"),
    F_STR(struct store, pause_reason, "pauseReason", NULLABLE, 0, 200, "why it is paused"),
    F_BOOL(struct store, is_banned, "isBanned", 0, "banned by an operator"),
    F_STR(struct store, ban_reason, "banReason", NULLABLE, 0, 200, "why it is banned"),
    F_INT(struct store, version, "version", 0, 0, INT64_MAX, "for If-Match"),
    F_TIME(struct store, created_at, "createdAt", 0, "created"),
    F_END(struct store),
};

const struct field store_event_fields[] = {
    F_UUID(struct store, store_id, "storeId", 0, "store"),
    F_UUID(struct store, owner_id, "ownerId", 0, "owner"),
    F_STR(struct store, name, "name", 0, 0, 100, "name"),
    F_STR(struct store, category, "category", 0, 0, 30, "category"),
    F_BOOL(struct store, is_banned, "isBanned", 0, "banned by an operator"),
    F_BOOL(struct store, deleted, "deleted", 0, "gone"),
    F_TIME(struct store, paused_until, "pausedUntil", 0, "takes no orders until then"),
    F_WON(struct store, minimum_order_won, "minimumOrderWon", 0, "minimum order"),
    F_WON(struct store, delivery_fee_won, "deliveryFeeWon", 0, "delivery fee"),
    LATITUDE_FIELD,
    LONGITUDE_FIELD,
    F_INT(struct store, radius_m, "radiusM", 0, 0, RADIUS_MAX_M, "delivers as far as that"),
    F_LIST(struct store, hours, "hours", 0, 0, WEEKDAYS, hours_fields, "opening hours"),
    F_END(struct store),
};

const struct field option_row_fields[] = {
    F_UUID(struct option, option_id, "optionId", 0, "option"),
    F_UUID(struct option, option_group_id, "optionGroupId", 0, "its group"),
    F_STR(struct option, name, "name", 0, 0, 100, "name"),
    F_WON(struct option, price_won, "priceWon", 0, "added to the price"),
    F_BOOL(struct option, sold_out, "soldOut", 0, "sold out"),
    F_INT(struct option, position, "position", 0, 0, INT64_MAX, "order"),
    F_END(struct option),
};
const struct field option_fields[] = {
    F_UUID(struct option, option_id, "optionId", 0, "option"),
    F_STR(struct option, name, "name", 0, 1, 60, "name"),
    F_WON(struct option, price_won, "priceWon", 0, "added to the price"),
    F_BOOL(struct option, sold_out, "soldOut", 0, "sold out"),
    F_END(struct option),
};

const struct field option_group_row_fields[] = {
    F_UUID(struct option_group, option_group_id, "optionGroupId", 0, "group"),
    F_UUID(struct option_group, menu_item_id, "menuItemId", 0, "its menu item"),
    F_STR(struct option_group, name, "name", 0, 0, 100, "name"),
    F_INT(struct option_group, min, "min", 0, 0, OPTIONS_MAX, "fewest choices"),
    F_INT(struct option_group, max, "max", 0, 0, OPTIONS_MAX, "most choices"),
    F_INT(struct option_group, position, "position", 0, 0, INT64_MAX, "order"),
    F_END(struct option_group),
};
const struct field option_group_fields[] = {
    F_UUID(struct option_group, option_group_id, "optionGroupId", 0, "group"),
    F_STR(struct option_group, name, "name", 0, 1, 60, "name"),
    F_INT(struct option_group, min, "min", 0, 0, OPTIONS_MAX, "fewest choices"),
    F_INT(struct option_group, max, "max", 0, 0, OPTIONS_MAX, "most choices"),
    F_LIST(struct option_group, options, "options", 0, 0, OPTIONS_MAX, option_fields, "options"),
    F_END(struct option_group),
};

const struct field menu_item_row_fields[] = {
    F_UUID(struct menu_item, menu_item_id, "menuItemId", 0, "menu item"),
    F_UUID(struct menu_item, section_id, "sectionId", 0, "its section"),
    F_STR(struct menu_item, name, "name", 0, 0, 100, "name"),
    F_STR(struct menu_item, description, "description", 0, 0, 1000, "description"),
    F_WON(struct menu_item, price_won, "priceWon", 0, "price"),
    F_STR(struct menu_item, photo_url, "photoUrl", 0, 0, 500, "photo"),
    F_STR(struct menu_item, allergens, "allergens", 0, 0, 300, "allergens"),
    F_STR(struct menu_item, origin, "origin", 0, 0, 500, "origin"),
    F_BOOL(struct menu_item, sold_out, "soldOut", 0, "sold out"),
    F_INT(struct menu_item, position, "position", 0, 0, INT64_MAX, "order"),
    F_INT(struct menu_item, version, "version", 0, 0, INT64_MAX, "version"),
    F_TIME(struct menu_item, deleted_at, "deletedAt", 0, "deleted"),
    F_END(struct menu_item),
};
const struct field menu_item_fields[] = {
    F_UUID(struct menu_item, menu_item_id, "menuItemId", 0, "menu item"),
    F_STR(struct menu_item, name, "name", 0, 1, 60, "name"),
    F_STR(struct menu_item, description, "description", 0, 0, 500, "description"),
    F_WON(struct menu_item, price_won, "priceWon", 0, "price without options"),
    F_STR(struct menu_item, photo_url, "photoUrl", NULLABLE, 0, 500, "photo"),
    F_BOOL(struct menu_item, sold_out, "soldOut", 0, "cannot be ordered now"),
    F_STR(struct menu_item, allergens, "allergens", 0, 0, 300, "allergens"),
    F_STR(struct menu_item, origin, "origin", 0, 0, 500, "origin of ingredients"),
    F_LIST(struct menu_item, option_groups, "optionGroups", 0, 0, OPTION_GROUPS_MAX,
           option_group_fields, "choices"),
    F_END(struct menu_item),
};

const struct field section_row_fields[] = {
    F_UUID(struct section, section_id, "sectionId", 0, "section"),
    F_STR(struct section, name, "name", 0, 0, 100, "name"),
    F_INT(struct section, position, "position", 0, 0, INT64_MAX, "order"),
    F_END(struct section),
};
const struct field section_fields[] = {
    F_UUID(struct section, section_id, "sectionId", 0, "section"),
    F_STR(struct section, name, "name", 0, 1, 60, "name"),
    F_LIST(struct section, items, "items", 0, 0, MENU_ITEMS_MAX, menu_item_fields, "menu items"),
    F_END(struct section),
};

const struct field menu_fields[] = {
    F_UUID(struct menu, store_id, "storeId", 0, "store"),
    F_INT(struct menu, version, "version", 0, 0, INT64_MAX, "rises with every change"),
    F_LIST(struct menu, sections, "sections", 0, 0, SECTIONS_MAX, section_fields, "sections"),
    F_END(struct menu),
};

static const struct field menu_event_item_fields[] = {
    F_UUID(struct menu_item, menu_item_id, "menuItemId", 0, "menu item"),
    F_STR(struct menu_item, name, "name", 0, 0, 100, "name"),
    F_WON(struct menu_item, price_won, "priceWon", 0, "price"),
    F_BOOL(struct menu_item, sold_out, "soldOut", 0, "cannot be ordered now"),
    F_BOOL(struct menu_item, deleted, "deleted", 0, "gone"),
    F_LIST(struct menu_item, option_groups, "optionGroups", 0, 0, OPTION_GROUPS_MAX,
           option_group_fields, "choices"),
    F_END(struct menu_item),
};
const struct field menu_event_fields[] = {
    F_UUID(struct menu, store_id, "storeId", 0, "store"),
    F_INT(struct menu, version, "version", 0, 0, INT64_MAX, "rises with every change"),
    F_LIST(struct menu, items, "items", 0, 0, MENU_ITEMS_MAX + DELETED_SHOWN_MAX,
           menu_event_item_fields, "items"),
    F_END(struct menu),
};
