/*
 * fault.h -- named places where a test may kill the process, fail the call or lose its answer.
 *
 * Every call that leaves the process or makes something durable stands between two of these. In
 * builds without JUMUN_FAULTS they vanish. The environment arms them: JUMUN_FAULT="name:n:action"
 * fires at the n-th pass of that name (1-based; "*" matches every name) with action die (SIGKILL to
 * ourselves) or fail (the expression is true); several rules are separated by commas. With
 * JUMUN_FAULT_REPORT=FILE each fault's name is appended to FILE at every pass and a line
 * "fired NAME" when a rule fires.
 */
#pragma once

#include "base/attr.h"

/* Programmatic arming for in-process tests: called at every pass; true means "fail this call". */
typedef bool fault_hook(void *arg, const char *name);
void fault_hook_set(fault_hook *hook, void *arg);

bool fault_pass(const char *name);

#ifdef JUMUN_FAULTS
#define FAULT(name) fault_pass(name)
#else
#define FAULT(name) false
#endif

/*
 * Known mistakes of the system this one replaces, re-created in fault builds only: a test switches
 * one on and must then fail. In other builds the code of a mutant does not exist.
 */
enum mutant {
    MUTANT_NONE,
    MUTANT_INBOX_FIRST,      /* an event is marked as seen before its work is done */
    MUTANT_MARKED_EARLY,     /* an event counts as published before the bus has it */
    MUTANT_NOT_HELD,         /* stock is looked at, but not held */
    MUTANT_REFUND_KEY,       /* a new provider key for every try of a refund */
    MUTANT_ANY_STATUS,       /* an owner's action is taken in any state */
    MUTANT_NOT_PINNED,       /* the payment does not stop expiry and cancel */
    MUTANT_UNKNOWN_DECLINED, /* no answer of the provider is taken for a refusal */
    MUTANT_EVENT_APART,      /* state and event are two transactions */
    MUTANT_NO_TIMER,         /* the hold of an unpaid order never ends */
    MUTANT_APPLIED_TWICE,    /* an event that comes twice is applied twice */
    MUTANTS
};
#ifdef JUMUN_FAULTS
extern enum mutant fault_mutant;
#define MUTANT(m) (fault_mutant == (m))
#else
#define MUTANT(m) false
#endif
