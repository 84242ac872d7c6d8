/* waiting.h -- whoever waits for an order in this process is woken when it moves here. */
#pragma once

#include "service/service.h"

/* Taken before the order is looked at: what moves later ends a wait for this turn at once. */
uint64_t waiting_turn(struct uuid order_id);
/* Until the order moved after that turn, or until then (monotonic). It may wake without cause, and
 * in another process it may move unheard: look at the order afterwards, and again. */
void waiting_until(struct uuid order_id, uint64_t turn, int64_t until_us);

/* The store has answered, and its answer is durable. */
enum err waiting_wake(struct ctx *cx, const struct event *e, const void *data);
