/*
 * key_watch.h -- a process without the auth service keeps a copy of auth's public keys: fetched at
 * start as soon as auth is there, every quarter of an hour, and when a token names an unknown one.
 */
#pragma once

#include "base/ctx.h"

struct key_watch;
struct platform;

enum err key_watch_start(struct ctx *cx, struct platform *p, struct key_watch **ret) MUST_USE;
/* Until auth has been asked with success, at most wait_us: who is let in then hears no 503 for a
 * good token. */
void key_watch_wait(struct key_watch *w, int64_t wait_us);
void key_watch_stop(struct key_watch *w); /* NULL is fine */
/*
 * For a token whose key is unknown. ERR_UNAVAILABLE: it cannot be told yet, the keys are being
 * fetched; ERR_OK: auth was asked a moment ago and does not know it either.
 */
enum err key_watch_ask(struct ctx *cx, struct key_watch *w) MUST_USE;
