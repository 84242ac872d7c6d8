/* reply.h -- filling a reply; nothing leaves before the handler returned and its commit is durable.
 */
#pragma once

#include "service/service.h"

enum err reply_data(struct ctx *cx, struct reply *rp, int status, const struct field *fields,
                    const void *object) MUST_USE;
/* {"items":[...],"nextCursor":...}; next_cursor STR_NONE: the last page. Adds the Link header. */
enum err reply_list(struct ctx *cx, const struct request *rq, struct reply *rp,
                    const struct field *fields, struct list items, struct str next_cursor) MUST_USE;
enum err reply_json(struct ctx *cx, struct reply *rp, int status, struct str json) MUST_USE;
enum err reply_bytes(struct ctx *cx, struct reply *rp, int status, struct str content_type,
                     struct str bytes) MUST_USE;
enum err reply_none(struct ctx *cx, struct reply *rp, int status) MUST_USE; /* 204, 304 */
/* Copied to the arena; CR and LF in the value are refused by assert. */
void reply_header(struct ctx *cx, struct reply *rp, struct str name, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* The version of what the reply shows, as its entity tag. */
void reply_version(struct ctx *cx, struct reply *rp, int64_t version);
/*
 * If-Match against the version there is, read in the same transaction as the change (RFC
 * 9110 13.1.1: any of a list, compared strongly). kind: the letter of the tag, 'v' as reply_version
 * gives it. ERR_PRECONDITION: it names others only. Without the field: fine.
 */
enum err request_expects(struct ctx *cx, const struct request *rq, char kind,
                         int64_t version) MUST_USE;

/* Cursor pages: query fields `cursor` and `limit`. The cursor is opaque: base64url of the last key.
 */
struct page {
    struct str cursor;
    int64_t limit;
};
#define PAGE_FIELDS(T, member)                                                                     \
    F_STR(T, member.cursor, "cursor", 0, 1, 200, "where the last page ended"),                     \
        F_INT(T, member.limit, "limit", 0, 1, 100, "page size, default 20")
/* Limit with its default. */
int64_t page_limit(const struct page *p);
/* Reads (int64, uuid) back from a cursor; without one gives the largest pair. ERR_INVALID when it
 * is not ours. */
enum err page_after(struct ctx *cx, const struct page *p, int64_t *ret_number,
                    struct uuid *ret_id) MUST_USE;
struct str page_cursor(struct ctx *cx, int64_t number, struct uuid id);
