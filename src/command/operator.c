/* operator.c -- who is an operator: an account of the platform becomes one, or is one no longer. */
#include "command/operator_call.h"

#include <stdio.h>

#include "auth/auth.h"
#include "data/json.h"

static enum err tell(struct ctx *cx, const struct settings *s, const struct operator_change *wish)
{
    struct str answer;
    struct buf body;

    buf_init_arena(&body, cx->arena, 1024);
    json_encode(&body, operator_change_fields, wish);
    return operator_call(cx, s, "auth", HTTP_PUT, "/internal/v1/operators", buf_str(&body),
                         &answer);
}

int command_operator(struct ctx *cx, const struct settings *s, struct list words)
{
    struct str verb = words.n ? *LIST_AT(struct str, words, 0) : STR("");
    struct operator_change wish = {.is_operator = str_eq(verb, STR("add"))};

    if (words.n != 2 || (!wish.is_operator && !str_eq(verb, STR("remove"))))
        return command_misused("operator", "it takes: add USERNAME, or remove USERNAME");
    wish.username = *LIST_AT(struct str, words, 1);
    if (wish.username.n == 0 || wish.username.n > 64)
        return command_misused("operator", "a username has 1 to 64 characters");
    enum err e = tell(cx, s, &wish);
    if (e == ERR_NOT_FOUND)
        (void)fail(cx, e, "nobody has signed up as %.*s", STR_ARG(wish.username));
    if (e == ERR_CONSTRAINT)
        (void)fail(cx, e,
                   wish.is_operator
                       ? "%.*s has stores or works in one: operators have accounts of their own, "
                         "signed up as a customer's"
                       : "%.*s is no operator",
                   STR_ARG(wish.username));
    if (e != ERR_OK)
        return command_failed(cx, "operator", e);
    printf("%.*s is %s\n", STR_ARG(wish.username),
           wish.is_operator ? "an operator, and signs in again" : "no operator any more");
    return EXIT_DONE;
}
