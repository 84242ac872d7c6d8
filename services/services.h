/* services.h -- every service of this binary. */
#pragma once

#include "service/service.h"

extern const struct service auth_service, user_service, store_service, order_service,
    payment_service;
extern const struct service
    toss_service; /* the simulator of Toss Payments, on a listener of its own */
