/* An engine that is not SQLite: a table of counters in memory, with marks and rewinds.
 *
 *   cc table.c -o table $(pkg-config --cflags --libs dbrewind) -lpthread
 *   ./table history
 *
 * All that it does for that is in `table_medium`, and in the four lines of `table_add` that begin with dbrewind_.
 * rust/docs/volumes.md says what they promise. */
#define _POSIX_C_SOURCE 200809L

#include <dbrewind.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The engine: rows of a fixed size in one array, under one lock. */

typedef struct {
    char name[24];
    int64_t count;
} row;

typedef struct {
    pthread_mutex_t lock;
    row *rows;
    size_t used, room;
    dbrewind_volume *volume;
} table;

static int table_reserve(table *self, size_t rows) {
    row *more;
    if (rows <= self->room) {
        return 0;
    }
    more = (row *)realloc(self->rows, rows * 2 * sizeof *more);
    if (more == NULL) {
        return ENOMEM;
    }
    self->rows = more;
    self->room = rows * 2;
    return 0;
}

static int table_add(table *self, const char *name, int64_t by) {
    size_t at = 0;
    int failed;
    pthread_mutex_lock(&self->lock);
    failed = dbrewind_volume_enter(self->volume, NULL);
    while (!failed && at < self->used && strcmp(self->rows[at].name, name) != 0) {
        at++;
    }
    if (!failed && (failed = table_reserve(self, at + 1)) == 0) {
        /* Before the row is written: what it replaces is saved, once between two marks. */
        (void)dbrewind_volume_will_write(self->volume, at * sizeof(row), sizeof(row), NULL);
        if (at == self->used) {
            memset(&self->rows[at], 0, sizeof(row));
            snprintf(self->rows[at].name, sizeof self->rows[at].name, "%s", name);
            self->used++;
        }
        self->rows[at].count += by;
        failed = dbrewind_volume_commit(self->volume, NULL, NULL);
    }
    pthread_mutex_unlock(&self->lock);
    return failed;
}

static int64_t table_get(table *self, const char *name) {
    int64_t count = 0;
    size_t at;
    pthread_mutex_lock(&self->lock);
    for (at = 0; at < self->used; at++) {
        if (strcmp(self->rows[at].name, name) == 0) {
            count = self->rows[at].count;
        }
    }
    pthread_mutex_unlock(&self->lock);
    return count;
}

/* The engine's content, as bytes. */

static int table_read(void *user, uint64_t offset, void *to, size_t length) {
    memcpy(to, (char *)((table *)user)->rows + offset, length);
    return 0;
}

static int table_write(void *user, uint64_t offset, const void *from, size_t length) {
    memcpy((char *)((table *)user)->rows + offset, from, length);
    return 0;
}

static int table_truncate(void *user, uint64_t length) {
    table *self = (table *)user;
    size_t rows = (size_t)(length / sizeof(row));
    int failed = table_reserve(self, rows);
    if (!failed && rows > self->used) {
        memset(&self->rows[self->used], 0, (rows - self->used) * sizeof(row));
    }
    if (!failed) {
        self->used = rows;
    }
    return failed;
}

static int table_length(void *user, uint64_t *length) {
    *length = ((table *)user)->used * sizeof(row);
    return 0;
}

static int table_lock(void *user, uint64_t timeout_ms) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(timeout_ms / 1000) + 1;
    return pthread_mutex_timedlock(&((table *)user)->lock, &until) == 0 ? 0 : EBUSY;
}

static void table_unlock(void *user) {
    pthread_mutex_unlock(&((table *)user)->lock);
}

static dbrewind_medium table_medium(table *self) {
    dbrewind_medium medium = DBREWIND_INIT(medium);
    medium.user = self;
    medium.read = table_read;
    medium.write = table_write;
    medium.truncate = table_truncate;
    medium.length = table_length;
    medium.lock = table_lock;
    medium.unlock = table_unlock;
    return medium;
}

int main(int count, char **arguments) {
    table fruit;
    dbrewind_medium medium = table_medium(&fruit);
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_rewound rewound = DBREWIND_INIT(rewound);
    dbrewind_error *error = NULL;
    int failed;

    memset(&fruit, 0, sizeof fruit);
    pthread_mutex_init(&fruit.lock, NULL);
    /* The table begins with this process: what an earlier one recorded is another table's. */
    options.flags = DBREWIND_VOLUME_ANEW;
    failed = dbrewind_volume_attach(count > 1 ? arguments[1] : "history", "fruit", 64, &medium, &options,
                                    &fruit.volume, &error);
    if (!failed) {
        /* A lost mark of the process before has the name still. */
        (void)dbrewind_volume_drop(fruit.volume, "seeded", NULL);
        failed = table_add(&fruit, "apple", 3) || table_add(&fruit, "pear", 5)
            || dbrewind_volume_mark(fruit.volume, "seeded", 0, NULL, &error)
            || table_add(&fruit, "apple", 100) || table_add(&fruit, "quince", 1)
            || dbrewind_volume_rewind(fruit.volume, dbrewind_to_mark("seeded"), NULL, &rewound, &error);
        printf("seeded: %d apples, %d pears, %d quinces\n", (int)table_get(&fruit, "apple"),
               (int)table_get(&fruit, "pear"), (int)table_get(&fruit, "quince"));
    }
    if (!failed) {
        failed = dbrewind_volume_rewind(fruit.volume, dbrewind_to_moment(rewound.undo), NULL, NULL, &error);
        printf("undone: %d apples, %d pears, %d quinces\n", (int)table_get(&fruit, "apple"),
               (int)table_get(&fruit, "pear"), (int)table_get(&fruit, "quince"));
    }
    if (failed) {
        fprintf(stderr, "%s\n", dbrewind_error_text(error));
        dbrewind_error_free(error);
    }
    dbrewind_volume_detach(fruit.volume, NULL);
    free(fruit.rows);
    return failed != 0;
}
