/* openapi.h -- field tables as JSON Schema (draft 2020-12, as OpenAPI 3.1 uses it). */
#pragma once

#include "base/buf.h"
#include "data/field.h"

enum openapi_use {
    OPENAPI_REQUEST, /* READ_ONLY rows are left out; nothing else is accepted */
    OPENAPI_REPLY,   /* everything that can be there */
};

/* {"type":"object",...}: nested tables are written in place. */
void openapi_schema(struct buf *b, const struct field *fields, enum openapi_use use);
/* The schema of one row's value, with its description. */
void openapi_value(struct buf *b, const struct field *f, enum openapi_use use);
