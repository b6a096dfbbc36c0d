/* A volume that is a file: changes, rewinds, threads, another process, and callers who are wrong: file FOLDER */
#include "check.h"

#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static dbrewind_error *error = NULL;
static const char *store;
static char *data;

static dbrewind_volume *attached(const char *name, const char *file, int64_t timeout_ms) {
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_volume *volume = NULL;
    options.timeout_ms = timeout_ms;
    OK(dbrewind_volume_attach_file(store, name, 64, file, &options, &volume, &error));
    CHECK(volume != NULL);
    return volume;
}

static void put(dbrewind_volume *volume, uint64_t offset, const char *text) {
    OK(dbrewind_file_begin(volume, &error));
    OK(dbrewind_file_write(volume, offset, text, strlen(text), &error));
    OK(dbrewind_file_end(volume, NULL, &error));
}

/* The file has these bytes from the offset to its end, and is so long. */
static void holds(dbrewind_volume *volume, uint64_t offset, const char *text) {
    char found[256];
    uint64_t count = 77, length = 0;
    OK(dbrewind_file_begin(volume, &error));
    OK(dbrewind_file_read(volume, offset, found, sizeof found, &count, &error));
    OK(dbrewind_file_length(volume, &length, &error));
    OK(dbrewind_file_end(volume, NULL, &error));
    CHECK(count == strlen(text) && memcmp(found, text, count) == 0);
    CHECK(length == offset + count);
}

static void is_recorded(void) {
    dbrewind_volume *volume = attached("data", data, 0);
    dbrewind_moment empty, written, again;
    dbrewind_rewound done = DBREWIND_INIT(done);
    dbrewind_mark_info mark = DBREWIND_INIT(mark);
    struct stat found;
    int dirty = 7;
    OK(dbrewind_volume_mark(volume, "empty", 0, NULL, &error));
    OK(dbrewind_volume_now(volume, &empty, &error));
    OK(dbrewind_file_begin(volume, &error));
    OK(dbrewind_file_write(volume, 100, "something", 9, &error));
    OK(dbrewind_file_write(volume, 5, NULL, 0, &error));
    OK(dbrewind_file_end(volume, &written, &error));
    CHECK(written.lsn > empty.lsn);
    holds(volume, 100, "something");
    OK(dbrewind_volume_now(volume, &again, &error));
    CHECK(again.lsn == written.lsn);
    OK(dbrewind_volume_mark(volume, "written", 0, &mark, &error));
    CHECK(mark.pages == 2);

    OK(dbrewind_file_begin(volume, &error));
    OK(dbrewind_file_truncate(volume, 104, &error));
    OK(dbrewind_file_end(volume, NULL, &error));
    holds(volume, 100, "some");
    OK(dbrewind_volume_dirty_since(volume, dbrewind_to_mark("written"), &dirty, &error));
    CHECK(dirty == 1);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("written"), NULL, NULL, &error));
    holds(volume, 100, "something");
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("empty"), NULL, &done, &error));
    CHECK(stat(data, &found) == 0 && found.st_size == 0);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_moment(done.undo), NULL, NULL, &error));
    holds(volume, 100, "something");
    OK(dbrewind_volume_detach(volume, &error));

    /* Its marks are there the next time, and a rewind of what was written before. */
    volume = attached("data", data, 0);
    put(volume, 0, "other");
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("empty"), NULL, NULL, &error));
    CHECK(stat(data, &found) == 0 && found.st_size == 0);
    OK(dbrewind_volume_detach(volume, &error));
}

static void wrong_callers(void) {
    char *other = joined(store, "other-file"), *nowhere = joined(store, "not/there");
    dbrewind_volume *volume = attached("wrong", other, -1), *second = (dbrewind_volume *)&error;
    uint64_t count = 9;
    char byte = 'x';
    /* Outside of a change. */
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_write(volume, 0, "x", 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_read(volume, 0, &byte, 1, &count, &error));
    CHECK(count == 0);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_truncate(volume, 0, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_length(volume, &count, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_end(volume, NULL, &error));
    /* Within one. */
    OK(dbrewind_file_begin(volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_begin(volume, &error));
    FAILS(DBREWIND_BUSY, dbrewind_volume_mark(volume, "m", 0, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_write(volume, 0, NULL, 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_write(volume, 0, "x", UINT64_MAX, &error));
    FAILS(DBREWIND_IO, dbrewind_file_write(volume, UINT64_MAX, "x", 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_read(volume, 0, NULL, 1, &count, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_read(volume, 0, &byte, 1, NULL, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_file_length(volume, NULL, &error));
    OK(dbrewind_file_write(volume, 0, "kept", 4, &error));
    /* What an engine says is not for a file. */
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_enter(volume, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_will_write(volume, 0, 1, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_commit(volume, NULL, &error));
    /* Another file under the name, a file that cannot be made, and none. */
    FAILS(DBREWIND_BUSY, dbrewind_volume_attach_file(store, "wrong", 64, data, NULL, &second, &error));
    CHECK(second == NULL);
    FAILS(DBREWIND_IO, dbrewind_volume_attach_file(store, "x", 64, nowhere, NULL, &second, &error));
    second = (dbrewind_volume *)&error;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_file(nowhere, "x", 64, NULL, NULL, &second, &error));
    CHECK(second == NULL && access(nowhere, F_OK) != 0);
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_file(store, "x", 63, data, NULL, &second, &error));
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_attach_file(store, "x", 64, data, NULL, NULL, &error));
    /* It ends with the handle, and counts. */
    OK(dbrewind_volume_detach(volume, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_file_end(volume, NULL, &error));
    volume = attached("wrong", other, 0);
    holds(volume, 0, "kept");
    /* Abandoned in a change: the file is free, and what was written is there. */
    OK(dbrewind_file_begin(volume, &error));
    OK(dbrewind_file_write(volume, 0, "left", 4, &error));
    OK(dbrewind_volume_abandon(volume, &error));
    volume = attached("wrong", other, 0);
    holds(volume, 0, "left");
    OK(dbrewind_volume_detach(volume, &error));
    free(other);
    free(nowhere);
}

/* However long it may wait: nobody else ends its change. */
static void own_change(void) {
    char *other = joined(store, "own-file");
    dbrewind_volume *volume = attached("own", other, 24 * 3600 * 1000);
    unsigned before = alarm(120);
    OK(dbrewind_volume_mark(volume, "m", 0, NULL, &error));
    OK(dbrewind_file_begin(volume, &error));
    OK(dbrewind_file_write(volume, 0, "own", 3, &error));
    CHECK(dbrewind_volume_mark(volume, "n", 0, NULL, &error) == DBREWIND_BUSY);
    CHECK(strstr(dbrewind_error_text(error), "this thread's own change of the content is still open") != NULL);
    dbrewind_error_free(error);
    error = NULL;
    FAILS(DBREWIND_BUSY, dbrewind_volume_rewind(volume, dbrewind_to_mark("m"), NULL, NULL, &error));
    OK(dbrewind_file_end(volume, NULL, &error));
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("m"), NULL, NULL, &error));
    holds(volume, 0, "");
    OK(dbrewind_volume_detach(volume, &error));
    alarm(before);
    free(other);
}

#define ROUNDS 50

static void count_up(dbrewind_volume *volume) {
    int round;
    for (round = 0; round < ROUNDS; round++) {
        dbrewind_error *why = NULL;
        uint32_t number = 0;
        uint64_t count = 0;
        int ok = dbrewind_file_begin(volume, &why) == DBREWIND_OK
                 && dbrewind_file_read(volume, 0, &number, sizeof number, &count, &why) == DBREWIND_OK;
        number++;
        ok = ok && dbrewind_file_write(volume, 0, &number, sizeof number, &why) == DBREWIND_OK
             && dbrewind_file_end(volume, NULL, &why) == DBREWIND_OK;
        if (!ok) {
            failed(__FILE__, __LINE__, "a round", why);
        }
    }
}

static void *counting(void *volume) {
    /* The change that the first thread has begun is not this one's. */
    dbrewind_error *why = NULL;
    CHECK(dbrewind_file_write((dbrewind_volume *)volume, 0, "x", 1, &why) == DBREWIND_INVALID_ARGUMENT);
    dbrewind_error_free(why);
    count_up((dbrewind_volume *)volume);
    return NULL;
}

static void threads_and_processes(void) {
    char *file = joined(store, "numbers");
    dbrewind_volume *volume = NULL;
    pthread_t threads[2];
    int status = 0, i;
    uint32_t number = 0;
    uint64_t count = 0;
    pid_t child = fork();
    if (child == 0) {
        volume = attached("numbers", file, 60000);
        count_up(volume);
        OK(dbrewind_volume_detach(volume, &error));
        _exit(0);
    }
    volume = attached("numbers", file, 60000);
    OK(dbrewind_file_begin(volume, &error));
    for (i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, counting, volume) == 0);
    }
    OK(dbrewind_file_end(volume, NULL, &error));
    for (i = 0; i < 2; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    OK(dbrewind_file_begin(volume, &error));
    OK(dbrewind_file_read(volume, 0, &number, sizeof number, &count, &error));
    OK(dbrewind_file_end(volume, NULL, &error));
    CHECK(count == sizeof number && number == 3 * ROUNDS);
    OK(dbrewind_volume_detach(volume, &error));
    free(file);
}

int main(int argc, char **argv) {
    CHECK(argc == 2);
    data = joined(argv[1], "data");
    store = joined(argv[1], "history");
    is_recorded();
    wrong_callers();
    own_change();
    threads_and_processes();
    free(data);
    free((void *)store);
    puts("right");
    return 0;
}
