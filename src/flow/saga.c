/* saga.c -- the pure step of a saga and the replay of its history. */
#include "flow/saga.h"

static bool fits(const struct saga_row *row, int state, int event, unsigned facts)
{
    return (row->state == state || row->state == SAGA_ANY_STATE) && row->event == event &&
           (facts & row->facts_set) == row->facts_set && (facts & row->facts_clear) == 0;
}

enum err saga_step(const struct saga_row *rows, size_t n, int state, int event, unsigned facts,
                   enum role by, struct saga_decision *ret)
{
    enum err refused = ERR_ORDER_STATE;

    for (size_t i = 0; i < n; i++) {
        const struct saga_row *row = &rows[i];
        if (!fits(row, state, event, facts))
            continue;
        if (!(row->may_cause & by)) {
            refused = ERR_FORBIDDEN;
            continue;
        }
        struct saga_decision d = {.next = row->next == SAGA_STAYS ? state : row->next};
        while (d.n_commands < SAGA_COMMANDS_MAX && row->commands[d.n_commands]) {
            d.commands[d.n_commands] = row->commands[d.n_commands];
            d.n_commands++;
        }
        *ret = d;
        return ERR_OK;
    }
    return refused;
}

enum err saga_replay(const struct saga_row *rows, size_t n, const struct saga_record *history,
                     size_t n_records, size_t *ret_step)
{
    struct saga_decision d;

    for (size_t i = 0; i < n_records; i++) {
        const struct saga_record *r = &history[i];
        bool follows = i == 0 || history[i - 1].to == r->from;
        if (!follows || saga_step(rows, n, r->from, r->event, r->facts, r->by, &d) != ERR_OK ||
            d.next != r->to) {
            *ret_step = i;
            return ERR_ORDER_STATE;
        }
    }
    return ERR_OK;
}
