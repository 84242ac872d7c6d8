/* thread.h -- names of threads, as top -H, gdb and perf show them. */
#pragma once

#include <pthread.h>
#include <stdio.h>

/* The calling thread from now on: "relay order"; the kernel keeps 15 characters. */
static inline void thread_name(const char *what, const char *whose)
{
    char name[64];

    snprintf(name, sizeof name, "%s %.40s", what, whose);
    name[15] = '\0';
    (void)pthread_setname_np(pthread_self(), name);
}
