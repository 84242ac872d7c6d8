/* listen.h -- opens a listening socket, and the room for those who come; for the files of net/
 * only.
 */
#pragma once

#include "base/ctx.h"
#include "obs/metrics.h"

#define CONNECTIONS_DEFAULT 20000

/* "HOST:PORT", port 0 takes a free one. ERR_INVALID: no such address; ERR_UNAVAILABLE: taken, or
 * not ours. *ret_fd is open then as well when it is not negative. */
enum err listen_open(struct ctx *cx, const char *address, int *ret_fd, int *ret_port) MUST_USE;
/* From here on the kernel welcomes nobody: a first packet is dropped, and its sender sends it again
 * in a second. What was welcomed before can still be accepted. */
void listen_hush(int fd);
/* Raises the process's limit of descriptors; how many connections one listener may have. 0: the
 * default is wanted. */
unsigned connections_limit(int wanted);
/* Says 503 to a connection that there is no room for, counts it, and closes it. */
void connection_refuse(int fd, struct metric *refused);
/* The other end, without its port; empty when it has none. */
#define ADDRESS_TEXT_SIZE 46
struct sockaddr_storage;
void address_text(const struct sockaddr_storage *address, char out[ADDRESS_TEXT_SIZE]);
