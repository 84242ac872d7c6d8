/*
 * fault.h -- named places where a test may kill the process, fail the call or lose its answer.
 *
 * Every call that leaves the process or makes something durable stands between two of these. In
 * builds without JUMUN_FAULTS they vanish. The environment arms them: JUMUN_FAULT="name:n:action"
 * fires at the n-th pass of that name (1-based; "*" matches every name) with action die (SIGKILL to
 * ourselves) or fail (the expression is true); several rules are separated by commas. With
 * JUMUN_FAULT_REPORT=FILE each fault's name is appended to FILE when it is first passed and a line
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
