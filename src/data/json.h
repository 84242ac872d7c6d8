/*
 * json.h -- strict JSON (RFC 8259) straight into and out of structs, driven by field tables.
 *
 * Decoding refuses: unknown fields, duplicate keys, wrong types, fractions in integers, numbers out
 * of range, bad UTF-8, lone surrogates, control characters, depth > 64, trailing bytes, BOM. All
 * bad fields of one document are reported, not only the first. Strings are borrowed from the text
 * when they hold no escapes, else copied to the arena.
 */
#pragma once

#include "base/buf.h"
#include "base/ctx.h"
#include "data/field.h"

#define JSON_DEPTH_MAX 64
#define JSON_FIELD_ERRORS_MAX 32

/*
 * Decodes `text` into `out` (zeroed first, fields_size bytes). ERR_MALFORMED: not JSON (the story
 * says the byte); ERR_INVALID: JSON, but not what the table says; cx->story.field_errors lists
 * every bad field.
 */
enum err json_decode(struct ctx *cx, const struct field *fields, void *out,
                     struct str text) MUST_USE;
/* The same, ignoring unknown fields: for events and for other people's replies (Toss). */
enum err json_decode_lenient(struct ctx *cx, const struct field *fields, void *out,
                             struct str text) MUST_USE;
/* Is the text one valid JSON value? For FIELD_RAW and tests. */
bool json_is_valid(struct str text);
/*
 * Walks the members of a valid object (the text of a FIELD_RAW): *rest begins as the object's text
 * and moves on; the value is JSON text. False: there are no more.
 */
bool json_member_next(struct arena *a, struct str *rest, struct str *ret_name, struct str *ret_raw);
/* A string's characters; numbers, true and false as they are written; null: STR_NONE. False: it is
 * an object or an array. */
bool json_scalar_text(struct arena *a, struct str raw, struct str *ret);

void json_encode(struct buf *b, const struct field *fields, const void *object); /* {"a":1,...} */
void json_encode_list(struct buf *b, const struct field *fields, struct list l); /* [{...},...] */
void json_string(struct buf *b, struct str s); /* quoted, escaped */
