/*
 * reads.h -- reads that are collected one by one and made together.
 *
 * Work on several things asks for all of them first: with a server that is an exchange for every
 * DB_READS_MAX reads instead of one for each.
 */
#pragma once

#include "db/db.h"

struct reads { /* all zero at first; in the arena */
    struct db_read *of;
    size_t n, room;
};

/* The arguments are copied; what they point to, and where the answer goes, stay the caller's. */
void reads_add(struct ctx *cx, struct reads *r, struct db_read read);
/* In their order. A read of one row that is not there leaves its target untouched. */
enum err reads_make(struct ctx *cx, const struct reads *r) MUST_USE;
