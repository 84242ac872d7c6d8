/* shopper.h -- one customer over plain sockets: cheap enough to share the cores with what it loads.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BODY_MAX 65536

enum step { CART, ORDER, CONFIRM, PAID, STEPS };
static const char *const step_names[STEPS] = {"cart add", "order to AWAITING_PAYMENT",
                                              "confirm to CAPTURED", "CAPTURED to PAID"};

struct connection {
    int fd, port;
    char buffer[BODY_MAX];
    char *body;
    int status;
};
struct person {
    pthread_t thread;
    int number;
    struct connection shop, window;
    char token[2000];
    unsigned long keys;
    int store;      /* of the cart */
    char order[64]; /* the latest */
};

static int public_port, toss_port;
/* What a step took; the program that includes this keeps it. */
static void note(enum step s, int64_t since_us);

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void dial(struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)c->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;

    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        perror("connect");
        exit(1);
    }
}

/* Reads one answer with a Content-Length. */
static void read_answer(struct connection *c)
{
    size_t n = 0, want = 0;

    c->body = NULL;
    for (;;) {
        ssize_t got = read(c->fd, c->buffer + n, sizeof c->buffer - 1 - n);
        if (got <= 0) {
            fprintf(stderr, "connection closed\n");
            exit(1);
        }
        n += (size_t)got;
        c->buffer[n] = '\0';
        if (!c->body) {
            char *end = strstr(c->buffer, "\r\n\r\n");
            if (!end)
                continue;
            char *length = strstr(c->buffer, "Content-Length: ");
            c->body = end + 4;
            want = (size_t)(c->body - c->buffer) +
                   (length && length < end ? strtoul(length + 16, NULL, 10) : 0);
            c->status = (int)strtol(c->buffer + 9, NULL, 10);
        }
        if (n >= want)
            return;
    }
}

static void ask(struct connection *c, const char *method, const char *path, const char *headers,
                const char *body)
{
    char request[8192];
    int n = snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: x\r\n%s%s%zu\r\n\r\n%s",
                     method, path, headers,
                     body[0] ? "Content-Type: application/json\r\nContent-Length: "
                             : "Content-Length: ",
                     strlen(body), body);

    if (write(c->fd, request, (size_t)n) != n)
        exit(1);
    read_answer(c);
}

static bool find(const char *body, const char *name, char *out, size_t size)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\":", name);
    const char *at = strstr(body, wanted);
    if (!at)
        return false;
    at += strlen(wanted);
    if (*at == '"')
        at++;
    size_t n = strcspn(at, "\",}");
    if (n >= size)
        return false;
    memcpy(out, at, n);
    out[n] = '\0';
    return true;
}

static const char *headers_of(struct person *p, bool keyed)
{
    static _Thread_local char text[2400];
    int n = snprintf(text, sizeof text, "Authorization: Bearer %s\r\nPrefer: wait=5\r\n", p->token);

    if (keyed)
        snprintf(text + n, sizeof text - (size_t)n, "Idempotency-Key: load-%d-%ld-%lu\r\n",
                 p->number, (long)getpid(), p->keys++);
    return text;
}

static void sign_in_as(struct person *p, const char *username)
{
    char body[200];

    snprintf(body, sizeof body, "{\"username\":\"%s\",\"password\":\"jumun-demo-1\"}", username);
    ask(&p->shop, "POST", "/v1/auth/login", "", body);
    if (!find(p->shop.body, "accessToken", p->token, sizeof p->token)) {
        fprintf(stderr, "cannot sign in: %s\n", p->shop.body);
        exit(1);
    }
}

static void sign_in(struct person *p)
{
    char name[40] = "minji";

    if (p->number != 1)
        snprintf(name, sizeof name, "customer%d", p->number);
    sign_in_as(p, name);
}

/* An item without options and without a count; of another store each time, so that the cart begins
 * anew. */
static bool add_to_cart(struct person *p)
{
    char body[300];
    int64_t since = now_us();

    p->store = 1 + 5 * (p->number % 5) + (int)(p->keys++ % 2); /* later ones count this item */
    snprintf(
        body, sizeof body,
        "{\"menuItemId\":\"019b76da-a800-7007-8000-%04x0006%04x\",\"quantity\":9,\"replace\":true}",
        p->store, 0);
    ask(&p->shop, "POST", "/v1/cart/items", headers_of(p, false), body);
    note(CART, since);
    return p->shop.status == 201;
}

__attribute__((unused)) static bool buy(struct person *p)
{
    char body[600], won[32], key[128], path[128], status[32] = "";
    int64_t since = now_us();

    snprintf(body, sizeof body, "{\"addressId\":\"019b76da-a800-7004-8000-%04x00000000\"}",
             p->number);
    ask(&p->shop, "POST", "/v1/orders", headers_of(p, true), body);
    if (p->shop.status != 201 || !find(p->shop.body, "orderId", p->order, sizeof p->order) ||
        !find(p->shop.body, "totalWon", won, sizeof won))
        return false;
    note(ORDER, since);
    snprintf(body, sizeof body, "{\"orderId\":\"%s\",\"amount\":%s}", p->order, won);
    ask(&p->window, "POST", "/simulator/authorize", "", body);
    if (!find(p->window.body, "paymentKey", key, sizeof key))
        return false;
    snprintf(body, sizeof body, "{\"paymentKey\":\"%s\",\"orderId\":\"%s\",\"amountWon\":%s}", key,
             p->order, won);
    since = now_us();
    ask(&p->shop, "POST", "/v1/payments/confirm", headers_of(p, true), body);
    if (p->shop.status != 200)
        return false;
    note(CONFIRM, since);
    since = now_us();
    snprintf(path, sizeof path, "/v1/orders/%s", p->order);
    useconds_t pause_us = 4000; /* doubled each time; an order that is under way is waited for */
    do {
        ask(&p->shop, "GET", path, headers_of(p, false), "");
        find(p->shop.body, "status", status, sizeof status);
    } while (strcmp(status, "PAID") != 0 && now_us() - since < 10000000 && usleep(pause_us) == 0 &&
             (pause_us *= 2));
    note(PAID, since);
    return strcmp(status, "PAID") == 0;
}
