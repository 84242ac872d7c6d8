/* doctor.h -- what the parts of `jumun doctor` share: one line per finding. */
#pragma once

#include "command/command.h"

void doctor_good(const char *what, const char *detail);
void doctor_bad(const char *what, const char *detail);

/* doctor_servers.c: tries what the settings name. False: the databases cannot be opened. */
bool doctor_servers(struct ctx *cx, const struct settings *s);
/* Private keys that others of this machine may read. */
void doctor_keys(struct ctx *cx, const struct settings *s);
/* Does --keys-secret open what auth's database holds? */
void doctor_signing_keys(struct ctx *cx, const struct settings *s, struct db *auth);
