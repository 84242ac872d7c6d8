/* pool_test.c -- a pool runs what it took in turn, says how long its next job waits, and refuses
 * what its queue has no room for. */
#include "service/pool.h"

#include <pthread.h>
#include <unistd.h>

#include "test.h"

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int ran;
static int order[4];

static void wait_at_gate(void *arg)
{
    (void)arg;
    ran++;
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
}

static void note_turn(void *arg)
{
    order[ran++ - 1] = *(int *)arg;
}

static void a_full_queue_refuses_and_the_oldest_tells_the_delay(void)
{
    struct pool *p;
    struct pool_job held = {.run = wait_at_gate}, jobs[3];
    int numbers[3] = {1, 2, 3};

    pthread_mutex_lock(&gate);
    CHECK(pool_open("test", 1, 2, &p) == ERR_OK);
    CHECK(pool_put(p, &held));
    while (ran == 0)
        usleep(100);
    CHECK_INT(pool_delay_us(p), 0); /* what runs does not wait */
    for (int i = 0; i < 3; i++) {
        jobs[i] = (struct pool_job){.run = note_turn, .arg = &numbers[i]};
        CHECK(pool_put(p, &jobs[i]) == (i < 2));
        usleep(5000);
    }
    CHECK_INT(pool_waiting(p), 2);
    CHECK(pool_delay_us(p) >= 15000); /* of the first, not of the one that came last */
    pthread_mutex_unlock(&gate);
    while (ran < 3)
        usleep(100);
    CHECK_INT(pool_delay_us(p), 0);
    pool_close(p);
    CHECK_INT(order[0], 1);
    CHECK_INT(order[1], 2);
}

int main(void)
{
    RUN(a_full_queue_refuses_and_the_oldest_tells_the_delay);
    return test_end();
}
