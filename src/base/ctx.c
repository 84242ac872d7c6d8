/* ctx.c -- keeping the story of a failure, and small questions to a ctx. */
#include "base/ctx.h"

#include <stdarg.h>

enum err ctx_fail(struct ctx *cx, enum err code, const char *file, int line, const char *format,
                  ...)
{
    va_list args;

    cx->story.code = code;
    cx->story.file = file;
    cx->story.line = line;
    va_start(args, format);
    vsnprintf(cx->story.detail, sizeof cx->story.detail, format, args);
    va_end(args);
    return code;
}

void ctx_field_error(struct ctx *cx, struct str field, struct str code, const char *format, ...)
{
    char message[256];
    va_list args;
    struct field_error *added = ARENA_NEW(cx->arena, struct field_error);
    struct field_error **end = &cx->story.field_errors;

    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    added->field = arena_copy(cx->arena, field);
    added->code = arena_copy(cx->arena, code);
    added->message = arena_copy(cx->arena, str_from(message));
    while (*end)
        end = &(*end)->next;
    *end = added;
}

int64_t ctx_now(const struct ctx *cx)
{
    return clock_now(cx->clock);
}

struct uuid ctx_uuid(struct ctx *cx)
{
    return uuid_v7(ctx_now(cx), cx->rng);
}

const char *ctx_uuid_text(struct ctx *cx, struct uuid u)
{
    char *text = arena_alloc(cx->arena, UUID_TEXT_SIZE);

    uuid_format(u, text);
    return text;
}

int ctx_left_ms(const struct ctx *cx, int most)
{
    if (cx->deadline_us == 0)
        return most;
    int64_t left = (cx->deadline_us - clock_monotonic_us()) / US_PER_MS;
    return left <= 0 ? 0 : left < most ? (int)left : most;
}
