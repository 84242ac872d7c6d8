/* waiting.h -- whoever waits for an order in this process is woken when it moves here. */
#pragma once

#include "order/order.h"

/* Taken before the order is looked at: what moves later ends a wait for this turn at once. */
uint64_t waiting_turn(struct uuid order_id);
/* It moves by itself, without the customer or the store: an answer of the stock or of the payment
 * is on its way. */
bool order_is_under_way(const struct order *o);
/*
 * Waits for an order with its lines after that turn, then loads it, shown; again while it is under
 * way, for so many seconds. 0, or when too many wait already, or this customer four times: only
 * loads it. Should the word be lost, it is looked at all the same, less and less often: at most a
 * quarter of the time that it took anyway is added.
 */
enum err order_wait(struct ctx *cx, uint64_t turn, int seconds, struct order *o) MUST_USE;

/* Stock or payment has answered, and what follows is durable. */
enum err waiting_wake(struct ctx *cx, const struct event *e, const void *data);
