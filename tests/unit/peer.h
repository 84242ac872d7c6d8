/* peer.h -- a peer on 127.0.0.1 that answers each connection with fixed bytes, for tests of what
 * calls out. */
#pragma once

#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

struct peer {
    pthread_t thread;
    int listener, port;
    const char *answer;   /* NULL: closes without a word after the request */
    int delay_ms;         /* before the answer */
    _Atomic int requests; /* taken so far */
    char seen[65536];     /* the last request, cut here */
    _Atomic size_t seen_n;
};

/* A whole request: the head, and as many bytes as its Content-Length says. */
static inline size_t peer_read(int fd, char *p, size_t max)
{
    size_t n = 0, need = SIZE_MAX;

    while (n < need && n + 1 < max) {
        ssize_t got = read(fd, p + n, max - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        p[n] = '\0';
        const char *end = strstr(p, "\r\n\r\n"), *length = strstr(p, "Content-Length: ");
        if (end)
            need = (size_t)(end - p) + 4 + (length ? strtoul(length + 16, NULL, 10) : 0);
    }
    return n;
}

static inline void *peer_run(void *arg)
{
    struct peer *peer = arg;

    for (;;) {
        int fd = accept(peer->listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        for (size_t n; (n = peer_read(fd, peer->seen, sizeof peer->seen)) > 0;) {
            peer->seen_n = n;
            peer->requests++;
            usleep((useconds_t)peer->delay_ms * 1000);
            if (!peer->answer || send(fd, peer->answer, strlen(peer->answer), MSG_NOSIGNAL) < 0)
                break;
        }
        close(fd);
    }
}

static inline void peer_start(struct peer *peer, const char *answer)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;

    memset(peer, 0, sizeof *peer);
    peer->answer = answer;
    peer->listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(bind(peer->listener, (struct sockaddr *)&at, sizeof at) == 0);
    CHECK(listen(peer->listener, 16) == 0);
    CHECK(getsockname(peer->listener, (struct sockaddr *)&at, &size) == 0);
    peer->port = ntohs(at.sin_port);
    CHECK(pthread_create(&peer->thread, NULL, peer_run, peer) == 0);
}

/* The caller's connections must be closed before: the peer's thread serves one after another. */
static inline void peer_stop(struct peer *peer)
{
    shutdown(peer->listener, SHUT_RDWR);
    pthread_join(peer->thread, NULL);
    close(peer->listener);
}
