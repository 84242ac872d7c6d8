/*
 * field.h -- one table that describes a struct; everything that reads or writes it uses the table.
 *
 * The same rows decode and validate a request, read a database row, write replies and events, print
 * OpenAPI and AsyncAPI, and read the configuration. Rows are plain data: grep for the JSON name.
 *
 *     struct add_item { struct uuid menu_item_id; int64_t quantity; struct list option_ids; };
 *     static const struct field add_item_fields[] = {
 *         F_UUID(struct add_item, menu_item_id, "menuItemId", REQUIRED, "what to add"),
 *         F_INT(struct add_item, quantity, "quantity", REQUIRED, 1, 99, "how many"),
 *         F_UUIDS(struct add_item, option_ids, "optionIds", 0, 0, 50, "chosen options"),
 *         F_END(struct add_item),
 *     };
 *
 * Absent values: str with p == NULL, nil uuid, time 0, list with n == 0; ints, bools and enums use
 * the `has_` member of F_OPT_*. Absent values are written as JSON null if NULLABLE, left out
 * otherwise; decoding accepts null for NULLABLE fields only.
 */
#pragma once

#include "base/clock.h"
#include "base/str.h"
#include "base/uuid.h"

enum field_type {
    FIELD_END,     /* `at` holds sizeof the struct */
    FIELD_BOOL,    /* bool */
    FIELD_INT,     /* int64_t */
    FIELD_DECIMAL, /* int64_t scaled by 10^scale; JSON number with at most that many decimals */
    FIELD_STR,     /* struct str; min/max count code points */
    FIELD_ENUM,    /* int: index into `names`, a NULL-terminated array; text in JSON and SQL */
    FIELD_UUID,    /* struct uuid; text in JSON, native in the database */
    FIELD_TIME,    /* int64_t UTC microseconds; RFC 3339 in JSON, integer in SQL */
    FIELD_DATE,    /* struct str "YYYY-MM-DD", a real day */
    FIELD_HHMM, /* int64_t minute of day 0..1440 ("24:00" allowed); "HH:MM" in JSON, integer in SQL
                 */
    FIELD_OBJECT,     /* embedded struct described by `fields`; not a column */
    FIELD_OBJECT_PTR, /* pointer to such a struct, NULL when absent */
    FIELD_LIST,       /* struct list of structs described by `fields`; min/max count items */
    FIELD_STRS,       /* struct list of struct str; each non-empty, at most `scale` code points */
    FIELD_UUIDS,      /* struct list of struct uuid; no duplicates */
    FIELD_RAW, /* struct str of JSON text, checked when decoded, copied through when encoded */
};

enum field_flag {
    REQUIRED = 1,
    NULLABLE = 2,
    PATTERN_SLUG = 4,        /* [a-z0-9_]+ */
    PATTERN_EMAIL = 8,       /* local@domain.tld, conservative */
    PATTERN_PHONE = 16,      /* digits and hyphens, 9-13 digits, starts with 0 */
    PATTERN_ZIP = 32,        /* exactly five digits */
    ONE_LINE = 64,           /* no control characters at all (else only TAB and LF are allowed) */
    SECRET = 128,            /* never printed: logs, config print, OpenAPI says writeOnly */
    READ_ONLY = 256,         /* written to replies and rows, refused in requests */
    NO_COLUMN = 512,         /* not read from database rows */
    PATTERN_LISTEN = 1024,   /* HOST:PORT, see field_parse_listen */
    PATTERN_HTTP_URL = 2048, /* see field_is_http_url */
};

struct field {
    enum field_type type;
    const char *name;   /* JSON, query and configuration name, camelCase */
    const char *column; /* column name = member name */
    size_t at, has_at;  /* has_at: offset of the bool `has_<member>`; 0: none */
    unsigned flags;
    int64_t min, max;
    int scale;
    const char *const *names;
    const struct field *fields;
    const char *doc;
};

/* A bounded run of items in an arena. */
struct list {
    void *items;
    size_t n;
};
#define LIST_AT(type, l, i) (&((type *)(l).items)[i])

#define F_BOOL(T, m, json, flags, doc)                                                             \
    {                                                                                              \
        FIELD_BOOL, json, #m, offsetof(T, m), 0, flags, 0, 1, 0, NULL, NULL, doc                   \
    }
#define F_INT(T, m, json, flags, min, max, doc)                                                    \
    {                                                                                              \
        FIELD_INT, json, #m, offsetof(T, m), 0, flags, min, max, 0, NULL, NULL, doc                \
    }
#define F_WON(T, m, json, flags, doc)                                                              \
    {                                                                                              \
        FIELD_INT, json, #m, offsetof(T, m), 0, flags, 0, 100000000000, 0, NULL, NULL, doc         \
    }
#define F_OPT_INT(T, m, json, flags, min, max, doc)                                                \
    {                                                                                              \
        FIELD_INT, json, #m, offsetof(T, m), offsetof(T, has_##m), flags, min, max, 0, NULL, NULL, \
            doc                                                                                    \
    }
#define F_OPT_BOOL(T, m, json, flags, doc)                                                         \
    {                                                                                              \
        FIELD_BOOL, json, #m, offsetof(T, m), offsetof(T, has_##m), flags, 0, 1, 0, NULL, NULL,    \
            doc                                                                                    \
    }
#define F_DECIMAL(T, m, json, flags, scale, min, max, doc)                                         \
    {                                                                                              \
        FIELD_DECIMAL, json, #m, offsetof(T, m), 0, flags, min, max, scale, NULL, NULL, doc        \
    }
#define F_OPT_DECIMAL(T, m, json, flags, scale, min, max, doc)                                     \
    {                                                                                              \
        FIELD_DECIMAL, json, #m, offsetof(T, m), offsetof(T, has_##m), flags, min, max, scale,     \
            NULL, NULL, doc                                                                        \
    }
#define F_STR(T, m, json, flags, min, max, doc)                                                    \
    {                                                                                              \
        FIELD_STR, json, #m, offsetof(T, m), 0, flags, min, max, 0, NULL, NULL, doc                \
    }
#define F_ENUM(T, m, json, flags, names, doc)                                                      \
    {                                                                                              \
        FIELD_ENUM, json, #m, offsetof(T, m), 0, flags, 0, 0, 0, names, NULL, doc                  \
    }
#define F_UUID(T, m, json, flags, doc)                                                             \
    {                                                                                              \
        FIELD_UUID, json, #m, offsetof(T, m), 0, flags, 0, 0, 0, NULL, NULL, doc                   \
    }
#define F_TIME(T, m, json, flags, doc)                                                             \
    {                                                                                              \
        FIELD_TIME, json, #m, offsetof(T, m), 0, flags, 0, 0, 0, NULL, NULL, doc                   \
    }
#define F_DATE(T, m, json, flags, doc)                                                             \
    {                                                                                              \
        FIELD_DATE, json, #m, offsetof(T, m), 0, flags, 0, 0, 0, NULL, NULL, doc                   \
    }
#define F_HHMM(T, m, json, flags, doc)                                                             \
    {                                                                                              \
        FIELD_HHMM, json, #m, offsetof(T, m), 0, flags, 0, 1440, 0, NULL, NULL, doc                \
    }
#define F_OBJECT(T, m, json, flags, table, doc)                                                    \
    {                                                                                              \
        FIELD_OBJECT, json, #m, offsetof(T, m), 0, (flags) | NO_COLUMN, 0, 0, 0, NULL, table, doc  \
    }
#define F_OBJECT_PTR(T, m, json, flags, table, doc)                                                \
    {                                                                                              \
        FIELD_OBJECT_PTR, json, #m, offsetof(T, m), 0, (flags) | NO_COLUMN, 0, 0, 0, NULL, table,  \
            doc                                                                                    \
    }
#define F_LIST(T, m, json, flags, min, max, table, doc)                                            \
    {                                                                                              \
        FIELD_LIST, json, #m, offsetof(T, m), 0, (flags) | NO_COLUMN, min, max, 0, NULL, table,    \
            doc                                                                                    \
    }
#define F_STRS(T, m, json, flags, min, max, each, doc)                                             \
    {                                                                                              \
        FIELD_STRS, json, #m, offsetof(T, m), 0, (flags) | NO_COLUMN, min, max, each, NULL, NULL,  \
            doc                                                                                    \
    }
#define F_UUIDS(T, m, json, flags, min, max, doc)                                                  \
    {                                                                                              \
        FIELD_UUIDS, json, #m, offsetof(T, m), 0, (flags) | NO_COLUMN, min, max, 0, NULL, NULL,    \
            doc                                                                                    \
    }
#define F_RAW(T, m, json, flags, doc)                                                              \
    {                                                                                              \
        FIELD_RAW, json, #m, offsetof(T, m), 0, flags, 0, 0, 0, NULL, NULL, doc                    \
    }
#define F_END(T)                                                                                   \
    {                                                                                              \
        FIELD_END, NULL, NULL, sizeof(T), 0, 0, 0, 0, 0, NULL, NULL, NULL                          \
    }

size_t fields_size(const struct field *fields);  /* sizeof the described struct */
size_t fields_count(const struct field *fields); /* rows without the end */
const struct field *field_by_column(const struct field *fields, struct str column);
const struct field *field_by_name(const struct field *fields, struct str json_name);
/*
 * Reads one value from text (query parameter, flag, environment, configuration file) into the
 * struct, which stays as it is when the value does not fit. Strings are borrowed from `text`.
 * Scalars only.
 */
struct field_wrong {
    const char *code;    /* RANGE: a number outside its bounds; FORMAT: anything else */
    const char *message; /* in English, good until this thread reads another field; NULL: it fits */
};
struct field_wrong field_from_text(const struct field *f, void *object, struct str text);
/* The same for rows of numbers: FIELD_INT, FIELD_DECIMAL, FIELD_TIME, FIELD_HHMM. */
struct field_wrong field_number(const struct field *f, struct str text, int64_t *ret);
/* "expected one of a, b", good until this thread asks again. */
const char *field_enum_expected(const struct field *f);
/* "HOST:PORT", an IPv6 address in brackets; port 0 to 65535. */
bool field_parse_listen(struct str s, struct str *ret_host, int64_t *ret_port);
/* "http://HOST[:PORT][/...]" or https, perhaps with a user before the host; port 1 to 65535. */
bool field_is_http_url(struct str s);
/* Checks one string against min, max and pattern flags; NULL when it fits, otherwise the reason. */
const char *field_check_str(const struct field *f, struct str s);
/* The text forms behind the types; false when the text is not one. */
bool field_parse_hhmm(struct str s, int64_t *ret);
/* Digits beyond the scale are left off: maps and phones measure finer than anybody keeps. */
bool field_parse_decimal(struct str s, int scale, int64_t *ret);
int field_enum_index(const struct field *f, struct str s); /* -1: not one of the names */
