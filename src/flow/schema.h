/* schema.h -- the tables that every service's database carries for flow. */
#pragma once

#include "flow/migrate.h"

extern const struct migration flow_migrations[6];
