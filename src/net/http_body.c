/* http_body.c -- what follows a head or stands inside a target: chunked bodies, percent escapes,
 * queries. */
#include "net/http.h"

#define CHUNK_EXTENSION_MAX 4096
#define TRAILER_MAX 8192

enum chunk_state {
    SIZE_FIRST, /* the first digit of a size */
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_FIRST, /* at the start of a line behind the last chunk */
    TRAILER,       /* in its name */
    TRAILER_VALUE,
    TRAILER_LF,
    LAST_LF,
    DONE,
};

/* A byte of the size line. 0: go on. */
static int size_byte(struct http_chunked *c, char byte, size_t max_body)
{
    int digit = str_hex_digit(byte);

    if (c->state == SIZE_LF) {
        if (byte != '\n')
            return 400;
        c->state = c->left ? DATA : TRAILER_FIRST;
        return 0;
    }
    if (c->state == EXTENSION) {
        if (byte == '\r')
            c->state = SIZE_LF;
        else if (byte == '\n' || byte == '\0' || ++c->extension_bytes > CHUNK_EXTENSION_MAX)
            return 400;
        return 0;
    }
    if (digit >= 0) {
        if (c->left == 0 && c->state == SIZE && ++c->extension_bytes > CHUNK_EXTENSION_MAX)
            return 400;              /* zeros without end */
        if (c->left > max_body / 16) /* it would wrap, or be too much at once */
            return 413;
        c->left = c->left * 16 + (uint64_t)digit;
        if (c->left > max_body || c->total + c->left > max_body)
            return 413;
        c->state = SIZE;
        return 0;
    }
    if (c->state == SIZE_FIRST)
        return 400;
    if (byte == ';')
        c->state = EXTENSION;
    else if (byte == '\r')
        c->state = SIZE_LF;
    else
        return 400;
    return 0;
}

/* A byte behind the last chunk. Trailers are read and dropped. */
static int trailer_byte(struct http_chunked *c, char byte)
{
    if (++c->trailer_bytes > TRAILER_MAX)
        return 431;
    switch (c->state) {
    case TRAILER_FIRST:
        if (byte == '\r')
            c->state = LAST_LF;
        else if (byte <= ' ' || byte == ':')
            return 400;
        else
            c->state = TRAILER;
        return 0;
    case TRAILER:
        if (byte == ':')
            c->state = TRAILER_VALUE;
        else if (byte <= ' ')
            return 400;
        return 0;
    case TRAILER_VALUE:
        if (byte == '\r')
            c->state = TRAILER_LF;
        else if (byte == '\n' || byte == '\0')
            return 400;
        return 0;
    default: /* TRAILER_LF, LAST_LF */
        if (byte != '\n')
            return 400;
        c->state = c->state == LAST_LF ? DONE : TRAILER_FIRST;
        return 0;
    }
}

static size_t data_bytes(struct http_chunked *c, struct str in, struct buf *out)
{
    size_t n = in.n < c->left ? in.n : (size_t)c->left;

    if (out)
        buf_add(out, in.p, n);
    c->left -= n;
    c->total += n;
    if (c->left == 0)
        c->state = DATA_CR;
    return n;
}

static int control_byte(struct http_chunked *c, char byte, size_t max_body)
{
    if (c->state == DATA_CR || c->state == DATA_LF) {
        if (byte != (c->state == DATA_CR ? '\r' : '\n'))
            return 400;
        c->state = c->state == DATA_CR ? DATA_LF : SIZE_FIRST;
        return 0;
    }
    return c->state < DATA ? size_byte(c, byte, max_body) : trailer_byte(c, byte);
}

int http_chunked_read(struct http_chunked *c, struct str in, size_t max_body, struct buf *out,
                      size_t *ret_used)
{
    size_t used = 0;
    int status = 0;

    while (used < in.n && c->state != DONE && status == 0) {
        if (c->state == DATA)
            used += data_bytes(c, (struct str){in.p + used, in.n - used}, out);
        else
            status = control_byte(c, in.p[used++], max_body);
    }
    *ret_used = used;
    return status ? status : c->state == DONE;
}

bool http_percent_decode(struct arena *a, struct str s, bool plus_is_space, struct str *ret)
{
    char *out = arena_alloc(a, s.n + 1);
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '+' && plus_is_space)
            c = ' ';
        if (c == '%') {
            if (s.n - i < 3 || str_hex_digit(s.p[i + 1]) < 0 || str_hex_digit(s.p[i + 2]) < 0)
                return false;
            c = (char)(str_hex_digit(s.p[i + 1]) << 4 | str_hex_digit(s.p[i + 2]));
            /* In a path these would be read as structure by somebody behind us. */
            if (c == '\0' || (!plus_is_space && (c == '/' || c == '\\')))
                return false;
            i += 2;
        }
        out[n++] = c;
    }
    out[n] = '\0';
    *ret = (struct str){out, n};
    return str_is_utf8(*ret);
}

bool http_query_next(struct arena *a, struct str *query, struct str *ret_name,
                     struct str *ret_value, bool *ret_bad)
{
    struct str pair, rest, name, value;

    *ret_bad = false;
    do {
        if (query->n == 0)
            return false;
        if (!str_cut(*query, '&', &pair, &rest)) {
            pair = *query;
            rest = STR_NONE;
        }
        *query = rest;
    } while (pair.n == 0);
    if (!str_cut(pair, '=', &name, &value)) {
        name = pair;
        value = STR("");
    }
    *ret_bad = !http_percent_decode(a, name, true, ret_name) ||
               !http_percent_decode(a, value, true, ret_value);
    return true;
}
