/* listen.c -- opens a listening socket, and the room for those who come. */
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "data/field.h"

#define BACKLOG 1024

enum err listen_open(struct ctx *cx, const char *address, int *ret_fd, int *ret_port)
{
    const struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                   .ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct sockaddr_storage bound;
    socklen_t size = sizeof bound;
    struct str host;
    int64_t port;
    int on = 1;

    if (!field_parse_listen(str_from(address), &host, &port))
        return fail(cx, ERR_INVALID,
                    "the address \"%s\" is not HOST:PORT with a port from 0 to 65535", address);
    int code = getaddrinfo(arena_cstr(cx->arena, host), arena_printf(cx->arena, "%" PRId64, port).p,
                           &hints, &found);
    if (code != 0)
        return fail(cx, ERR_INVALID, "the address \"%s\": %s", address, gai_strerror(code));
    *ret_fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool ok = *ret_fd >= 0 && setsockopt(*ret_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              bind(*ret_fd, found->ai_addr, found->ai_addrlen) == 0 &&
              listen(*ret_fd, BACKLOG) == 0 &&
              getsockname(*ret_fd, (struct sockaddr *)&bound, &size) == 0;
    int why = errno;
    freeaddrinfo(found);
    if (!ok)
        return fail(cx, ERR_UNAVAILABLE, "cannot listen on %s: %s", address, strerror(why));
    *ret_port =
        ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)(void *)&bound)->sin6_port
                                          : ((struct sockaddr_in *)(void *)&bound)->sin_port);
    return ERR_OK;
}

/* A packet of a handshake (byte 13 of its header: flags) with SYN and without ACK. */
void listen_hush(int fd)
{
    struct sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),          BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = {.len = COUNT_OF(steps), .filter = steps};

    (void)setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

/* The process takes all descriptors it may have; half of them at most are for one listener's
 * clients. */
unsigned connections_limit(int wanted)
{
    struct rlimit limit;
    rlim_t most = (rlim_t)(wanted > 0 ? wanted : CONNECTIONS_DEFAULT);

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 2 < most)
        most = limit.rlim_cur / 2;
    return (unsigned)most;
}

void connection_refuse(int fd, struct metric *refused)
{
    static const char answer[] =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
        "Content-Length: 0\r\n\r\n";

    metric_add(refused, 1);
    (void)!send(fd, answer, sizeof answer - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    close(fd);
}

void address_text(const struct sockaddr_storage *address, char out[ADDRESS_TEXT_SIZE])
{
    const void *ip =
        address->ss_family == AF_INET6
            ? (const void *)&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr
            : (const void *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;

    if (!inet_ntop(address->ss_family, ip, out, ADDRESS_TEXT_SIZE))
        out[0] = '\0';
}
