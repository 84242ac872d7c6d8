/*
 * key_watch.h -- a process without the auth service keeps a copy of auth's public keys: fetched at
 * start as soon as auth is there, every quarter of an hour, and when a token names an unknown one.
 */
#pragma once

#include "base/ctx.h"

struct key_watch;
struct platform;

enum err key_watch_start(struct ctx *cx, struct platform *p, struct key_watch **ret) MUST_USE;
void key_watch_stop(struct key_watch *w); /* NULL is fine */
/*
 * For a token whose key is unknown. ERR_UNAVAILABLE: it cannot be told yet, the keys are being
 * fetched; ERR_OK: auth was asked a moment ago and does not know it either.
 */
enum err key_watch_ask(struct ctx *cx, struct key_watch *w) MUST_USE;
