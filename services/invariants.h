/* invariants.h -- what must be so in the data of all services, for `jumun doctor --audit` and every
 * test. */
#pragma once

#include "service/audit.h"

extern const struct audit_row invariants[];
