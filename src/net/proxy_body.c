/* proxy_body.c -- a body on its way through: its end is found by one framing and told by another.
 */
#include "net/proxy_inside.h"

#define CHUNK_HEAD 10 /* up to eight digits and a line end */
#define CHUNK_COST (CHUNK_HEAD + 2)
#define LAST_CHUNK "0\r\n\r\n"

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* `n` bytes stand CHUNK_HEAD behind out->to: gives them their size in front. */
static void close_chunk(struct block *out, size_t n)
{
    char *at = out->bytes + out->to;
    struct buf size = {.p = at, .cap = CHUNK_HEAD, .max = CHUNK_HEAD};

    buf_printf(&size, "%zx\r\n", n);
    memmove(at + size.n, at + CHUNK_HEAD, n);
    at[size.n + n] = '\r';
    at[size.n + n + 1] = '\n';
    out->to += size.n + n + 2;
}

static void add(struct body *b, struct block *out, const char *p, size_t n)
{
    bool in_chunks = b->out == BODY_CHUNKED;

    memcpy(out->bytes + out->to + (in_chunks ? CHUNK_HEAD : 0), p, n);
    if (in_chunks)
        close_chunk(out, n);
    else
        out->to += n;
}

static void finish(struct body *b, struct block *out)
{
    b->is_over = true;
    if (b->out != BODY_CHUNKED)
        return;
    memcpy(out->bytes + out->to, LAST_CHUNK, sizeof LAST_CHUNK - 1);
    out->to += sizeof LAST_CHUNK - 1;
}

/* Chunks in: decoded in place where they go, since what is decoded is never longer. */
static int move_chunked(struct body *b, struct block *in, struct block *out, size_t room)
{
    size_t ahead = b->out == BODY_CHUNKED ? CHUNK_HEAD : 0, used = 0;
    const struct str bytes = {in->bytes + in->from, smaller(block_size(in), room)};
    struct buf decoded = {.p = out->bytes + out->to + ahead, .cap = room, .max = room};

    int status = http_chunked_read(&b->chunked, bytes, b->max, &decoded, &used);
    in->from += used;
    b->seen += used;
    if (status > 1)
        return status;
    if (decoded.n && ahead)
        close_chunk(out, decoded.n);
    else
        out->to += decoded.n;
    if (status == 1)
        finish(b, out);
    return used > 0;
}

int body_move(struct body *b, struct block *in, struct block *out)
{
    const size_t spare = CHUNK_COST + sizeof LAST_CHUNK;
    size_t room = block_room(out) > spare ? block_room(out) - spare : 0;

    if (b->is_over || room == 0)
        return 0;
    if (b->in == BODY_LENGTH && b->left == 0) {
        finish(b, out);
        return 1;
    }
    if (block_size(in) == 0)
        return 0;
    if (b->in == BODY_CHUNKED)
        return move_chunked(b, in, out, room);
    size_t n = smaller(block_size(in), room);
    if (b->in == BODY_LENGTH && n > b->left)
        n = (size_t)b->left;
    add(b, out, in->bytes + in->from, n);
    in->from += n;
    b->seen += n;
    if (b->in == BODY_LENGTH && (b->left -= n) == 0)
        finish(b, out);
    return 1;
}

bool body_end(struct body *b, struct block *out)
{
    if (block_room(out) < sizeof LAST_CHUNK)
        return false;
    finish(b, out);
    return true;
}
