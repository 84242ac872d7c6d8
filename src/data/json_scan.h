/* json_scan.h -- the lexical half of JSON: white space, strings, numbers, skipping; for json files
 * only. */
#pragma once

#include "base/arena.h"
#include "data/json.h"

struct json_scan {
    const char *p, *end, *start;
    struct arena *arena; /* NULL: strings with escapes are checked but not decoded */
    const char *problem; /* what is wrong at p, once something failed */
};

void json_space(struct json_scan *s);
bool json_take(struct json_scan *s, char c); /* after white space: the character, consumed */
/* After white space and '"': the decoded text, borrowed unless escapes made a copy. */
bool json_take_string(struct json_scan *s, struct str *ret);
/* The text of a number in RFC 8259's grammar. */
bool json_take_number(struct json_scan *s, struct str *ret);
bool json_take_word(struct json_scan *s, struct str word); /* true, false, null */
/* Checks and passes over one value of any kind. */
bool json_skip(struct json_scan *s, int depth);
bool json_problem(struct json_scan *s, const char *what); /* always false */
