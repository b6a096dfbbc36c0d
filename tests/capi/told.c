/* What a volume tells of its history, where it goes that was asked to go too far back, and what is left of one that is let go: told FOLDER */
#include "check.h"

#define LENGTH 640

static dbrewind_error *error = NULL;

/* One thread does all: there is no lock. */
typedef struct {
    unsigned char bytes[LENGTH];
    int calls;
} content;

static int content_read(void *user, uint64_t offset, void *to, size_t length) {
    content *self = (content *)user;
    self->calls++;
    memcpy(to, self->bytes + offset, length);
    return 0;
}

static int content_write(void *user, uint64_t offset, const void *from, size_t length) {
    content *self = (content *)user;
    self->calls++;
    memcpy(self->bytes + offset, from, length);
    return 0;
}

static int content_truncate(void *user, uint64_t length) {
    (void)user;
    return length == LENGTH ? 0 : 1;
}

static int content_length(void *user, uint64_t *length) {
    ((content *)user)->calls++;
    *length = LENGTH;
    return 0;
}

static dbrewind_volume *attached(const char *store, const char *name, content *self, uint32_t flags) {
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_medium medium = DBREWIND_INIT(medium);
    dbrewind_volume *volume = NULL;
    medium.user = self;
    medium.read = content_read;
    medium.write = content_write;
    medium.truncate = content_truncate;
    medium.length = content_length;
    options.flags = flags;
    options.limit = 64 << 20;
    options.window_s = 3600;
    OK(dbrewind_volume_attach(store, name, 64, &medium, &options, &volume, &error));
    return volume;
}

static void fill(dbrewind_volume *volume, content *self, unsigned char with) {
    OK(dbrewind_volume_enter(volume, &error));
    OK(dbrewind_volume_will_write(volume, 0, LENGTH, &error));
    memset(self->bytes, with, LENGTH);
    OK(dbrewind_volume_commit(volume, NULL, &error));
}

static void status(const char *store) {
    static content table;
    dbrewind_mark_info first = DBREWIND_INIT(first), second = DBREWIND_INIT(second);
    dbrewind_status_info found = DBREWIND_INIT(found);
    dbrewind_pin_info pin = DBREWIND_INIT(pin);
    dbrewind_rewind_options how = DBREWIND_INIT(how);
    dbrewind_rewound rewound = DBREWIND_INIT(rewound);
    dbrewind_pin_list *pins = (dbrewind_pin_list *)&table;
    dbrewind_process_list *processes = NULL;
    dbrewind_volume *volume = attached(store, "told", &table, DBREWIND_VOLUME_ANEW);

    OK(dbrewind_volume_mark(volume, "lost", 0, NULL, &error));
    OK(dbrewind_volume_detach(volume, &error));
    memset(table.bytes, 7, LENGTH);
    volume = attached(store, "told", &table, DBREWIND_VOLUME_ANEW);
    OK(dbrewind_volume_mark(volume, "first", DBREWIND_PIN, &first, &error));
    fill(volume, &table, 8);
    OK(dbrewind_volume_mark(volume, "second", 0, &second, &error));

    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_status(volume, NULL, &pins, &error));
    CHECK(pins == NULL);
    found.size = 8;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_status(volume, &found, NULL, &error));
    found.size = sizeof found;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_status(NULL, &found, NULL, &error));
    OK(dbrewind_volume_status(volume, &found, NULL, &error));
    OK(dbrewind_volume_status(volume, &found, &pins, &error));
    CHECK(found.archived == 2 && found.lost == 1 && found.hot == 0 && found.evicted == 0);
    CHECK(found.state == DBREWIND_WINDOW_OK && found.limit == 64 << 20 && found.target_s == 3600.0);
    CHECK(found.used > 0 && found.used == found.raw + found.sealed && found.window_s >= 0.0);
    CHECK(found.earliest.database == first.moment.database && found.earliest_time <= first.time);
    OK(dbrewind_volume_waits_for(volume, &processes, &error));
    CHECK(processes != NULL && dbrewind_process_list_count(processes) == 0);
    dbrewind_process_list_free(processes);
    CHECK(dbrewind_pin_list_count(pins) == 1 && dbrewind_pin_list_get(pins, 0, &pin) == DBREWIND_OK);
    CHECK(strcmp(pin.name, "first") == 0 && pin.time == first.time);
    CHECK(pin.moment.lsn == first.moment.lsn && pin.moment.database == first.moment.database);

    /* Too far back, and as far back as can be. */
    FAILS(DBREWIND_BEFORE_WINDOW, dbrewind_volume_rewind(volume, dbrewind_to_time(1), NULL, NULL, &error));
    how.flags = DBREWIND_USE_EARLIEST;
    OK(dbrewind_volume_rewind(volume, dbrewind_to_time(1), &how, &rewound, &error));
    CHECK(rewound.to.lsn == found.earliest.lsn && table.bytes[0] == 7);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("second"), &how, &rewound, &error));
    CHECK(rewound.to.lsn == second.moment.lsn && table.bytes[LENGTH - 1] == 8);
    FAILS(DBREWIND_MARK_LOST, dbrewind_volume_rewind(volume, dbrewind_to_mark("lost"), NULL, NULL, &error));
    CHECK(table.bytes[0] == 8);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("lost"), &how, &rewound, &error));
    CHECK(rewound.to.lsn == found.earliest.lsn && table.bytes[0] == 7);
    FAILS(DBREWIND_MARK_NOT_FOUND, dbrewind_volume_rewind(volume, dbrewind_to_mark("none"), &how, NULL, &error));

    OK(dbrewind_volume_detach(volume, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_volume_status(volume, &found, NULL, &error));
    /* The list outlives the handle. */
    CHECK(dbrewind_pin_list_get(pins, 0, &pin) == DBREWIND_OK && strcmp(pin.name, "first") == 0);
    dbrewind_pin_list_free(pins);
}

/* A volume that is let go is settled by whoever comes next, as that of a process that was killed. */
static void abandon(const char *store) {
    static content table;
    dbrewind_volume *volume, *next;
    int calls;

    memset(table.bytes, 1, LENGTH);
    volume = attached(store, "abandoned", &table, DBREWIND_VOLUME_ANEW);
    OK(dbrewind_volume_mark(volume, "m", 0, NULL, &error));
    OK(dbrewind_volume_enter(volume, &error));
    OK(dbrewind_volume_will_write(volume, 0, 100, &error));
    memset(table.bytes, 2, 100);
    calls = table.calls;
    FAILS(DBREWIND_INVALID_ARGUMENT, dbrewind_volume_abandon((dbrewind_volume *)&table, &error));
    OK(dbrewind_volume_abandon(NULL, &error));
    OK(dbrewind_volume_abandon(volume, &error));
    CHECK(table.calls == calls);
    FAILS(DBREWIND_CLOSED, dbrewind_volume_abandon(volume, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_volume_detach(volume, &error));
    FAILS(DBREWIND_CLOSED, dbrewind_volume_enter(volume, &error));
    CHECK(table.calls == calls);

    next = attached(store, "abandoned", &table, 0);
    OK(dbrewind_volume_rewind(next, dbrewind_to_mark("m"), NULL, NULL, &error));
    CHECK(table.bytes[0] == 1 && table.bytes[99] == 1);
    OK(dbrewind_volume_abandon(next, &error));
    /* Nobody has it attached any more. */
    OK(dbrewind_volume_forget(store, "abandoned", &error));
}

int main(int count, char **arguments) {
    char *store;
    if (count < 2) {
        return 2;
    }
    store = joined(arguments[1], "history");
    status(store);
    abandon(store);
    free(store);
    puts("right");
    return 0;
}
