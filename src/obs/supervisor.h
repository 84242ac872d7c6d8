/* supervisor.h -- tells systemd (or whoever speaks its protocol) how this process is doing. */
#pragma once

#include <stdbool.h>

/*
 * Sends `state` ("READY=1", "STOPPING=1") as one datagram to the socket that NOTIFY_SOCKET names:
 * sd_notify(3). Without one, or when nobody listens, nothing happens: it is news, not a need.
 */
void supervisor_tell(const char *state);

/*
 * fd is the journal's: JOURNAL_STREAM names its device and inode, which the variable alone does not
 * prove (systemd.exec(5): it is inherited, and streams are redirected). Such a line may begin with
 * its priority, "<4>": sd-daemon(3).
 */
bool supervisor_reads(int fd);
