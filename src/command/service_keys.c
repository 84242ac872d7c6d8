/* service_keys.c -- `jumun service-keys`: key pairs by which services in different processes know
 * each other. */
#include "command/command.h"

#include <stdio.h>

#include "security/service_keys.h"
#include "services.h"

/* Of everything that signs, and of the operator, for `jumun dlq`. */
static size_t default_names(struct str names[16])
{
    size_t n = 0;

    for (; n < 14 && all_services[n]; n++)
        names[n] = str_from(all_services[n]->name);
    names[n++] = STR("gateway");
    names[n++] = STR("operator");
    return n;
}

int command_service_keys(struct ctx *cx, const struct settings *s, struct list words)
{
    struct str names[16];
    size_t n = default_names(names);

    (void)s;
    if (words.n == 0)
        return command_misused("service-keys", "it needs a directory");
    const char *dir = arena_cstr(cx->arena, *LIST_AT(struct str, words, 0));
    if (words.n > 1 + COUNT_OF(names))
        return command_misused("service-keys", "at most %zu names", COUNT_OF(names));
    for (size_t i = 1; i < words.n; i++) {
        names[i - 1] = *LIST_AT(struct str, words, i);
        if (!service_named(names[i - 1]) && !str_eq(names[i - 1], STR("operator")))
            return command_misused("service-keys", "there is no service \"%.*s\"",
                                   STR_ARG(names[i - 1]));
        n = i;
    }
    for (size_t i = 0; i < n; i++) {
        bool made;
        enum err e = service_keys_make(cx, dir, names[i], &made);
        if (e != ERR_OK)
            return command_failed(cx, "service-keys", e);
        printf("%s %s/%.*s.key and .pub\n", made ? "made" : "kept", dir, STR_ARG(names[i]));
    }
    return EXIT_DONE;
}
