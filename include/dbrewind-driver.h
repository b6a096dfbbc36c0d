/* What dbrewind-conformance asks of a driver: a shared library around an engine that records itself with dbrewind.
 *
 *   dbrewind-conformance ./driver.so
 *
 * It exports one function, dbrewind_driver_get. Functions that answer an int answer 0, or anything else for a failure, which ends the trial.
 * They are called from several threads if `flags` say so, and from several processes if the engine is persistent. rust/docs/volumes.md. */
#ifndef DBREWIND_DRIVER_H
#define DBREWIND_DRIVER_H

#include <stddef.h>
#include <stdint.h>

/* The engine's content outlasts a process, in the folder that it was opened with, and several processes may have it open. */
#define DBREWIND_DRIVER_PERSISTENT 1
/* Several threads may use one engine. */
#define DBREWIND_DRIVER_THREADS 2

typedef struct dbrewind_driver {
    /* sizeof(dbrewind_driver) */
    size_t size;
    /* DBREWIND_DRIVER_... */
    uint64_t flags;
    /* Opens the engine in a folder, creates what is missing, and attaches. NULL: it failed. */
    void *(*open)(const char *folder);
    /* Detaches, and closes the engine. */
    void (*close)(void *engine);
    /* One change, complete when it returns, that follows from the seed and the present content alone. Different seeds should reach all that the
     * engine can do: insert, overwrite, delete, grow, shrink. */
    int (*step)(void *engine, uint64_t seed);
    /* A hash of all that a user of the engine can see, by the ways in which it sees it. */
    int (*digest)(void *engine, uint64_t *digest);
    /* dbrewind_volume_mark */
    int (*mark)(void *engine, const char *name);
    /* dbrewind_volume_rewind to a mark; *undo: the lsn of rewound.undo. */
    int (*rewind)(void *engine, const char *name, uint64_t *undo);
    /* dbrewind_volume_rewind to a moment. */
    int (*undo)(void *engine, uint64_t lsn);
    /* Whether no change is there in part only: the engine's own check of its content. Nullable; without it a lock that lets others in is hardly found. */
    int (*check)(void *engine);
} dbrewind_driver;

#ifdef __cplusplus
extern "C"
#endif
const dbrewind_driver *dbrewind_driver_get(void);

#endif
