/*
 * jwt_revoked.c -- remembers whose session is over.
 *
 * A table in open addressing, made anew when it is full: as large as what is still of use needs.
 * At its maximum it gives up the older half and refuses whatever was issued in the time of that
 * half. So a flood of ends costs those whose token is old one refresh, and nobody a token that is
 * younger than the newest end; an end that was given up, and is heard again, is covered already.
 */
#include "security/jwt_internal.h"

#define SLOTS_MIN 256
#define SLOTS_MAX ((size_t)2 * JWT_REVOKED_MAX)
#define LASTS_US (JWT_REVOKED_S * US_PER_S)

int64_t jwt_issued_us(struct uuid token_id, int64_t issued_s)
{
    int64_t ms = 0;

    if (token_id.b[6] >> 4 != 7)
        return issued_s * US_PER_S;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | token_id.b[i];
    return ms / 1000 == issued_s ? ms * US_PER_MS : issued_s * US_PER_S;
}

/* The row of the id, or the free one where it belongs. Ids are random at their end; the table is at
 * most half full, so runs stay short. */
static struct jwt_revoked *row_of(const struct jwt_revoked_table *table, struct uuid id)
{
    uint64_t v;

    memcpy(&v, id.b + 8, sizeof(v));
    v ^= v >> 32;
    size_t i = (size_t)(v * UINT64_C(0x9e3779b97f4a7c15) >> 40) % table->slots;
    while (!uuid_is_nil(table->rows[i].id) && !uuid_eq(table->rows[i].id, id))
        i = (i + 1) % table->slots;
    return &table->rows[i];
}

bool jwt_is_revoked(struct jwt_keys *keys, struct uuid session_id, int64_t issued_us)
{
    if (issued_us < atomic_load(&keys->floor_us))
        return true;
    if (atomic_load(&keys->revocations) == 0 || uuid_is_nil(session_id))
        return false;
    pthread_rwlock_rdlock(&keys->lock);
    bool revoked = !uuid_is_nil(row_of(&keys->revoked, session_id)->id);
    pthread_rwlock_unlock(&keys->lock);
    return revoked;
}

static void raise_floor(struct jwt_keys *keys, int64_t to_us)
{
    if (to_us > atomic_load(&keys->floor_us))
        atomic_store(&keys->floor_us, to_us);
}

/* Its session's tokens are refused by the floor: two clocks of auth may differ by the leeway. */
static bool is_below_floor(struct jwt_keys *keys, int64_t ended_us)
{
    return ended_us + JWT_LEEWAY_S * US_PER_S <= atomic_load(&keys->floor_us);
}

static int by_time(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The times of the rows that are still of use, oldest first, into `times`. */
static size_t times_of_use(const struct jwt_revoked_table *table, int64_t now_us, int64_t *times)
{
    size_t n = 0;

    for (size_t i = 0; i < table->slots; i++)
        if (!uuid_is_nil(table->rows[i].id) && table->rows[i].ended_us + LASTS_US > now_us)
            times[n++] = table->rows[i].ended_us;
    qsort(times, n, sizeof(*times), by_time);
    return n;
}

/* Takes over what ended after that moment. */
static bool make_anew(struct jwt_revoked_table *table, size_t slots, int64_t after_us)
{
    struct jwt_revoked_table fresh = {calloc(slots, sizeof(*fresh.rows)), slots, 0};

    if (fresh.rows == NULL)
        return false;
    for (size_t i = 0; i < table->slots; i++)
        if (!uuid_is_nil(table->rows[i].id) && table->rows[i].ended_us > after_us) {
            *row_of(&fresh, table->rows[i].id) = table->rows[i];
            fresh.n++;
        }
    free(table->rows);
    *table = fresh;
    return true;
}

/* Afterwards it is at most half of what it may be, so that this is rare. False: no memory. */
static bool make_room(struct jwt_keys *keys, int64_t now_us)
{
    struct jwt_revoked_table *table = &keys->revoked;
    int64_t after_us = now_us - LASTS_US, *times = malloc((table->n + 1) * sizeof(*times));
    size_t slots = SLOTS_MIN;

    if (times == NULL)
        return false;
    size_t n = times_of_use(table, now_us, times);
    while (slots < 4 * n && slots < SLOTS_MAX)
        slots *= 2;
    bool gives_up = 4 * n > slots;
    int64_t newest_us = n > 0 ? times[n - 1] : 0;
    if (gives_up)
        after_us = times[n / 2];
    free(times);
    if (!make_anew(table, slots, after_us))
        return false;
    int64_t covers_us = after_us + JWT_LEEWAY_S * US_PER_S;
    if (gives_up)
        raise_floor(keys, covers_us < newest_us ? covers_us : newest_us);
    return true;
}

void jwt_revoke_session(struct jwt_keys *keys, struct uuid session_id, int64_t ended_us,
                        int64_t now_us)
{
    struct jwt_revoked_table *table = &keys->revoked;

    if (uuid_is_nil(session_id) || ended_us + LASTS_US <= now_us || is_below_floor(keys, ended_us))
        return;
    pthread_rwlock_wrlock(&keys->lock);
    if (table->n > 0 && !uuid_is_nil(row_of(table, session_id)->id)) {
        pthread_rwlock_unlock(&keys->lock);
        return;
    }
    if (2 * table->n < table->slots || make_room(keys, now_us)) {
        *row_of(table, session_id) = (struct jwt_revoked){session_id, ended_us};
        atomic_store(&keys->revocations, ++table->n);
    } else {
        raise_floor(keys, ended_us); /* no memory: refuse everything so far, forget nobody */
    }
    pthread_rwlock_unlock(&keys->lock);
}

void jwt_revoked_release(struct jwt_keys *keys)
{
    free(keys->revoked.rows);
}
