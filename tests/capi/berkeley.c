/* Berkeley DB, a store that knows nothing of us, as a volume: its writes are seen through its own hooks (db_env_set_func_pwrite and others), its
 * B-tree is marked and rewound, and compared with a model and by its own verification: berkeley FOLDER */
#define _DEFAULT_SOURCE
#include "check.h"

#include <sys/types.h>

#include <db.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEYS 400
#define MARKS 6

static dbrewind_error *error = NULL;

/* The engine: the file that it writes, whose descriptor is its own, and ours beside it. */
static const char *path;
static int its_file = -1, our_file = -1, stale = 0;
static unsigned writes_seen = 0;
static dbrewind_volume *volume = NULL;
static DB *tree = NULL;

static int hook_open(const char *name, int flags, ...) {
    va_list rest;
    int file;
    va_start(rest, flags);
    file = open(name, flags, (mode_t)va_arg(rest, int));
    va_end(rest);
    if (strcmp(name, path) == 0) {
        its_file = file;
    }
    return file;
}

static int hook_close(int file) {
    if (file == its_file) {
        its_file = -1;
    }
    return close(file);
}

static void about_to_write(int file, off_t offset, size_t length) {
    if (file == its_file && volume != NULL) {
        OK(dbrewind_volume_will_write(volume, (uint64_t)offset, length, &error));
        writes_seen++;
    }
}

static ssize_t hook_pwrite(int file, const void *from, size_t length, off_t offset) {
    about_to_write(file, offset, length);
    return pwrite(file, from, length, offset);
}

static ssize_t hook_write(int file, const void *from, size_t length) {
    about_to_write(file, lseek(file, 0, SEEK_CUR), length);
    return write(file, from, length);
}

static int hook_ftruncate(int file, off_t length) {
    if (file == its_file && volume != NULL) {
        OK(dbrewind_volume_will_truncate(volume, (uint64_t)length, &error));
    }
    return ftruncate(file, length);
}

static int content_read(void *user, uint64_t offset, void *to, size_t length) {
    (void)user;
    return pread(our_file, to, length, (off_t)offset) == (ssize_t)length ? 0 : EIO;
}

static int content_write(void *user, uint64_t offset, const void *from, size_t length) {
    (void)user;
    return pwrite(our_file, from, length, (off_t)offset) == (ssize_t)length ? 0 : EIO;
}

static int content_truncate(void *user, uint64_t length) {
    (void)user;
    return ftruncate(our_file, (off_t)length) == 0 ? 0 : errno;
}

static int content_length(void *user, uint64_t *length) {
    struct stat found;
    (void)user;
    if (fstat(our_file, &found) != 0) {
        return errno;
    }
    *length = (uint64_t)found.st_size;
    return 0;
}

/* Its cache is of another content. */
static void content_rewound(void *user, uint64_t lsn) {
    (void)user;
    (void)lsn;
    stale = 1;
}

static void tree_open(void) {
    CHECK(db_create(&tree, NULL, 0) == 0);
    CHECK(tree->set_pagesize(tree, 4096) == 0);
    CHECK(tree->open(tree, NULL, path, NULL, DB_BTREE, DB_CREATE, 0600) == 0);
}

/* Between two changes nothing of the content is in the cache alone. */
static void tree_rest(void) {
    CHECK(tree->sync(tree, 0) == 0);
    if (volume != NULL) {
        OK(dbrewind_volume_commit(volume, NULL, &error));
    }
}

static void tree_enter(void) {
    OK(dbrewind_volume_enter(volume, &error));
    if (stale) {
        CHECK(tree->close(tree, DB_NOSYNC) == 0);
        tree_open();
        stale = 0;
    }
}

static DBT part(void *bytes, size_t length) {
    DBT it;
    memset(&it, 0, sizeof it);
    it.data = bytes;
    it.size = (u_int32_t)length;
    return it;
}

/* The model: how long the value of each key is, all bytes of which are the key's lowest; 0: there is none. */
typedef struct {
    unsigned lengths[KEYS];
} model;

static void change(model *expected, unsigned at, unsigned length) {
    static char bytes[3000];
    DBT key = part(&at, sizeof at), value = part(bytes, length);
    if (length == 0) {
        int found = tree->del(tree, NULL, &key, 0);
        CHECK(found == (expected->lengths[at] == 0 ? DB_NOTFOUND : 0));
    } else {
        memset(bytes, (int)(at + length), length);
        CHECK(tree->put(tree, NULL, &key, &value, 0) == 0);
    }
    expected->lengths[at] = length;
}

static void compare(const model *expected) {
    unsigned at, count = 0;
    DBC *cursor;
    DBT key = part(NULL, 0), value = part(NULL, 0);
    for (at = 0; at < KEYS; at++) {
        count += expected->lengths[at] != 0;
    }
    CHECK(tree->cursor(tree, NULL, &cursor, 0) == 0);
    while (cursor->get(cursor, &key, &value, DB_NEXT) == 0) {
        memcpy(&at, key.data, sizeof at);
        CHECK(at < KEYS && value.size == expected->lengths[at]);
        CHECK(((unsigned char *)value.data)[value.size - 1] == (unsigned char)(at + value.size));
        count--;
    }
    CHECK(cursor->close(cursor) == 0 && count == 0);
}

static unsigned below(unsigned bound) {
    static unsigned long long state = 7;
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(state >> 33) % bound;
}

int main(int count, char **arguments) {
    static model now, marked[MARKS], before;
    dbrewind_medium medium = DBREWIND_INIT(medium);
    dbrewind_rewound rewound = DBREWIND_INIT(rewound);
    DB *look;
    char *store;
    unsigned round, i;
    if (count < 2) {
        return 2;
    }
    path = joined(arguments[1], "tree.db");
    store = joined(arguments[1], "history");
    CHECK(db_env_set_func_open(hook_open) == 0 && db_env_set_func_close(hook_close) == 0);
    CHECK(db_env_set_func_pwrite(hook_pwrite) == 0 && db_env_set_func_write(hook_write) == 0);
    CHECK(db_env_set_func_ftruncate(hook_ftruncate) == 0);
    tree_open();
    tree_rest();
    our_file = open(path, O_RDWR | O_CLOEXEC);
    CHECK(our_file >= 0 && its_file >= 0);

    medium.read = content_read;
    medium.write = content_write;
    medium.truncate = content_truncate;
    medium.length = content_length;
    medium.after_rewind = content_rewound;
    OK(dbrewind_volume_attach(store, "tree", 4096, &medium, NULL, &volume, &error));
    for (round = 0; round < 120; round++) {
        char name[8];
        unsigned which = below(MARKS);
        snprintf(name, sizeof name, "m%u", which);
        tree_enter();
        for (i = below(40); i > 0; i--) {
            change(&now, below(KEYS), below(4) == 0 ? 0 : 1 + below(2999));
        }
        tree_rest();
        if (round < MARKS) {
            snprintf(name, sizeof name, "m%u", round);
            OK(dbrewind_volume_mark(volume, name, 0, NULL, &error));
            marked[round] = now;
        } else if (below(2) == 0) {
            before = now;
            OK(dbrewind_volume_rewind(volume, dbrewind_to_mark(name), NULL, &rewound, &error));
            now = marked[which];
            tree_enter();
            compare(&now);
            if (below(3) == 0) {
                OK(dbrewind_volume_rewind(volume, dbrewind_to_moment(rewound.undo), NULL, NULL, &error));
                now = before;
                tree_enter();
                compare(&now);
            }
        }
    }
    CHECK(writes_seen > 200);
    for (i = 0; i < MARKS; i++) {
        char name[8];
        snprintf(name, sizeof name, "m%u", i);
        OK(dbrewind_volume_rewind(volume, dbrewind_to_mark(name), NULL, NULL, &error));
        tree_enter();
        compare(&marked[i]);
        /* By its own rules. */
        CHECK(db_create(&look, NULL, 0) == 0 && look->verify(look, path, NULL, NULL, 0) == 0);
    }
    CHECK(tree->close(tree, 0) == 0);
    OK(dbrewind_volume_detach(volume, &error));
    free(store);
    puts("right");
    return 0;
}
