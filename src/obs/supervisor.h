/* supervisor.h -- tells systemd (or whoever speaks its protocol) how this process is doing. */
#pragma once

/*
 * Sends `state` ("READY=1", "STOPPING=1") as one datagram to the socket that NOTIFY_SOCKET names:
 * sd_notify(3). Without one, or when nobody listens, nothing happens: it is news, not a need.
 */
void supervisor_tell(const char *state);
