/* gzip.c -- whole answers compressed at once; lists of instances repeat themselves. */
#include <zlib.h>

#include "discovery/rest.h"

#define STEP 32768
#define GZIP_WINDOW (15 + 16) /* zlib's way to ask for gzip's header */
#define FAST 1

static bool deflate_all(z_stream *z, struct buf *out)
{
    int code = Z_OK;

    while (code == Z_OK) {
        if (!buf_reserve(out, 1024))
            return false;
        z->next_out = (unsigned char *)out->p + out->n;
        z->avail_out = (unsigned)(out->cap - out->n);
        unsigned before = z->avail_out;
        code = deflate(z, Z_FINISH);
        out->n += before - z->avail_out;
    }
    return code == Z_STREAM_END;
}

bool gzip_text(struct arena *a, struct str text, struct str *ret)
{
    z_stream z = {0};
    struct buf out;

    if (deflateInit2(&z, FAST, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    buf_init_arena(&out, a, text.n / 4 + 8192);
    (void)buf_reserve(&out, text.n / 8 < STEP ? 4096 : text.n / 8);
    z.next_in = (unsigned char *)(uintptr_t)text.p;
    z.avail_in = (unsigned)text.n;
    bool done = deflate_all(&z, &out);
    deflateEnd(&z);
    *ret = buf_str(&out);
    return done;
}
