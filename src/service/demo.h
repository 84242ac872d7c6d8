/* demo.h -- ids of the demo world: the same in every run, so that services agree without asking. */
#pragma once

#include "base/uuid.h"

enum demo_kind {
    DEMO_CUSTOMER, /* 1..20; 1 is minji */
    DEMO_OWNER,    /* 1..3 */
    DEMO_STAFF,    /* 1 */
    DEMO_ADMIN,    /* 1 */
    DEMO_ADDRESS,  /* of customer 1..20 */
    DEMO_STORE,    /* 1..40 */
    DEMO_SECTION,  /* store, 1.. */
    DEMO_ITEM,     /* store, 1.. */
    DEMO_GROUP,    /* store, item, 1.. */
    DEMO_OPTION,   /* store, item, group * 100 + option */
};

#define DEMO_CUSTOMERS 20
#define DEMO_OWNERS 3
#define DEMO_STORES 40

/* A UUIDv7 of 2026-01-01 with the numbers in its random part. */
struct uuid demo_id(enum demo_kind kind, unsigned a, unsigned b, unsigned c);
