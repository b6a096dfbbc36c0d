/* The lock of an engine in memory, and what it hears of rewinds: the first member of what the functions of a medium get as `user`. */
#ifndef LOCKED_H
#define LOCKED_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

typedef struct {
    pthread_mutex_t mutex;
    int rewound;
} locked;

static inline int locked_lock(void *user, uint64_t timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000);
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec += 1;
        until.tv_nsec -= 1000000000;
    }
    return pthread_mutex_timedlock(&((locked *)user)->mutex, &until);
}

static inline void locked_unlock(void *user) {
    pthread_mutex_unlock(&((locked *)user)->mutex);
}

static inline void locked_rewound(void *user, uint64_t lsn) {
    (void)lsn;
    ((locked *)user)->rewound++;
}

#endif
