/* An engine that is not SQLite: words counted in a hash table in memory, with marks and rewinds. Its keys are texts of any length.
 *
 *   cc words.c -o words $(pkg-config --cflags --libs dbrewind) -lpthread
 *   ./words history
 *
 * A volume's keys are numbers. So what is recorded is the *bucket*: all entries whose word has the same 64-bit hash, mostly one, each with its word. Two
 * words with one hash are two entries of one record, and nothing has to be done for them. rust/docs/volumes.md, "Records under keys". */
#define _POSIX_C_SOURCE 200809L

#include <dbrewind.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The engine: chains under one lock. */

#define CHAINS 1024

typedef struct entry {
    struct entry *next;
    uint64_t hash;
    int64_t count;
    size_t length;
    char *word;
} entry;

typedef struct {
    pthread_mutex_t lock;
    entry *chains[CHAINS];
    dbrewind_volume *volume;
} words;

/* FNV-1a. A weak one for the example: that of the last letter alone, so that buckets have more than one entry. */
static uint64_t hash_of(const char *word, size_t length) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    if (length > 0) {
        hash = (hash ^ (unsigned char)word[length - 1]) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static entry **found(words *self, const char *word, size_t length) {
    uint64_t hash = hash_of(word, length);
    entry **at = &self->chains[hash % CHAINS];
    while (*at != NULL && ((*at)->hash != hash || (*at)->length != length || memcmp((*at)->word, word, length) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

static int inserted(words *self, const char *word, size_t length, int64_t count) {
    entry *made = (entry *)malloc(sizeof *made);
    char *copy = (char *)malloc(length + 1);
    if (made == NULL || copy == NULL) {
        free(made);
        free(copy);
        return ENOMEM;
    }
    memcpy(copy, word, length);
    copy[length] = '\0';
    made->hash = hash_of(word, length);
    made->count = count;
    made->length = length;
    made->word = copy;
    made->next = self->chains[made->hash % CHAINS];
    self->chains[made->hash % CHAINS] = made;
    return 0;
}

static void removed(entry **at) {
    entry *gone = *at;
    *at = gone->next;
    free(gone->word);
    free(gone);
}

/* Counts a word; forgets it when its count is 0. */
static int words_add(words *self, const char *word, int64_t by) {
    size_t length = strlen(word);
    entry **at;
    int failed;
    pthread_mutex_lock(&self->lock);
    failed = dbrewind_volume_enter(self->volume, NULL);
    if (!failed) {
        /* Before the bucket changes: what is in it is saved, once between two marks. */
        (void)dbrewind_volume_will_change(self->volume, hash_of(word, length), NULL);
        at = found(self, word, length);
        if (*at == NULL) {
            failed = inserted(self, word, length, by);
        } else if (((*at)->count += by) == 0) {
            removed(at);
        }
        (void)dbrewind_volume_commit(self->volume, NULL, NULL);
    }
    pthread_mutex_unlock(&self->lock);
    return failed;
}

static int64_t words_get(words *self, const char *word) {
    int64_t count = 0;
    entry *at;
    pthread_mutex_lock(&self->lock);
    if (dbrewind_volume_enter(self->volume, NULL) == 0 && (at = *found(self, word, strlen(word))) != NULL) {
        count = at->count;
    }
    pthread_mutex_unlock(&self->lock);
    return count;
}

/* The engine's content, as records: of each entry its count, the length of its word, and the word. */

static int words_read(void *user, uint64_t key, void *to, size_t room, uint64_t *length) {
    entry *at;
    uint64_t end = 0;
    for (at = ((words *)user)->chains[key % CHAINS]; at != NULL; at = at->next) {
        uint64_t begin = end, numbers[2];
        if (at->hash != key) {
            continue;
        }
        end += sizeof numbers + at->length;
        if (end <= room) {
            numbers[0] = (uint64_t)at->count;
            numbers[1] = at->length;
            memcpy((char *)to + begin, numbers, sizeof numbers);
            memcpy((char *)to + begin + sizeof numbers, at->word, at->length);
        }
    }
    *length = end == 0 ? DBREWIND_ABSENT : end;
    return 0;
}

static int words_remove(void *user, uint64_t key) {
    entry **at = &((words *)user)->chains[key % CHAINS];
    while (*at != NULL) {
        if ((*at)->hash == key) {
            removed(at);
        } else {
            at = &(*at)->next;
        }
    }
    return 0;
}

static int words_write(void *user, uint64_t key, const void *from, size_t length) {
    size_t at = 0;
    int failed = words_remove(user, key);
    while (!failed && at < length) {
        uint64_t numbers[2];
        memcpy(numbers, (const char *)from + at, sizeof numbers);
        at += sizeof numbers;
        failed = inserted((words *)user, (const char *)from + at, (size_t)numbers[1], (int64_t)numbers[0]);
        at += (size_t)numbers[1];
    }
    return failed;
}

static int words_lock(void *user, uint64_t timeout_ms) {
    (void)timeout_ms; /* Nobody holds it for long. */
    return pthread_mutex_lock(&((words *)user)->lock);
}

static void words_unlock(void *user) {
    pthread_mutex_unlock(&((words *)user)->lock);
}

static dbrewind_keyed_medium words_medium(words *self) {
    dbrewind_keyed_medium medium = DBREWIND_INIT(medium);
    medium.user = self;
    medium.read = words_read;
    medium.write = words_write;
    medium.remove = words_remove;
    medium.lock = words_lock;
    medium.unlock = words_unlock;
    return medium;
}

static void say(words *self, const char *when) {
    printf("%s: %d apple, %d orange, %d pear, %d date\n", when, (int)words_get(self, "apple"), (int)words_get(self, "orange"),
           (int)words_get(self, "pear"), (int)words_get(self, "date"));
}

int main(int count, char **arguments) {
    words fruit;
    dbrewind_keyed_medium medium = words_medium(&fruit);
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_rewound rewound = DBREWIND_INIT(rewound);
    dbrewind_error *error = NULL;
    size_t chain;
    int failed;

    memset(&fruit, 0, sizeof fruit);
    pthread_mutex_init(&fruit.lock, NULL);
    /* The table begins with this process: what an earlier one recorded is another table's. */
    options.flags = DBREWIND_VOLUME_ANEW;
    failed = dbrewind_volume_attach_keyed(count > 1 ? arguments[1] : "history", "words", &medium, &options, &fruit.volume,
                                          &error);
    if (!failed) {
        /* A lost mark of the process before has the name still. */
        (void)dbrewind_volume_drop(fruit.volume, "seeded", NULL);
        failed = words_add(&fruit, "apple", 3) || words_add(&fruit, "orange", 2) || words_add(&fruit, "pear", 5)
            || dbrewind_volume_mark(fruit.volume, "seeded", 0, NULL, &error)
            || words_add(&fruit, "apple", -3) || words_add(&fruit, "pear", 1) || words_add(&fruit, "date", 9);
        say(&fruit, "changed");
    }
    if (!failed) {
        failed = dbrewind_volume_rewind(fruit.volume, dbrewind_to_mark("seeded"), NULL, &rewound, &error);
        say(&fruit, "seeded");
    }
    if (!failed) {
        failed = dbrewind_volume_rewind(fruit.volume, dbrewind_to_moment(rewound.undo), NULL, NULL, &error);
        say(&fruit, "undone");
    }
    if (failed) {
        fprintf(stderr, "%s\n", dbrewind_error_text(error));
        dbrewind_error_free(error);
    }
    dbrewind_volume_detach(fruit.volume, NULL);
    for (chain = 0; chain < CHAINS; chain++) {
        while (fruit.chains[chain] != NULL) {
            removed(&fruit.chains[chain]);
        }
    }
    return failed != 0;
}
