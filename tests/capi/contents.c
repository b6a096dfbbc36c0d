/* One name, two contents: refused, whoever attaches second; also programs that were compiled before that could be told: contents FOLDER */
#include "check.h"

#include <errno.h>
#include <stddef.h>

#define LENGTH 256

static dbrewind_error *error = NULL;

/* One thread does all: there is no lock. */
typedef struct {
    unsigned char bytes[LENGTH];
    const char *identity;
    size_t said;
    int failing;
} content;

static int content_read(void *user, uint64_t offset, void *to, size_t length) {
    memcpy(to, ((content *)user)->bytes + offset, length);
    return 0;
}

static int content_write(void *user, uint64_t offset, const void *from, size_t length) {
    memcpy(((content *)user)->bytes + offset, from, length);
    return 0;
}

static int content_truncate(void *user, uint64_t length) {
    (void)user;
    return length == LENGTH ? 0 : EINVAL;
}

static int content_length(void *user, uint64_t *length) {
    (void)user;
    *length = LENGTH;
    return 0;
}

static int content_identity(void *user, uint8_t *to, size_t room, size_t *length) {
    content *self = (content *)user;
    size_t there = strlen(self->identity);
    memcpy(to, self->identity, there < room ? there : room);
    *length = self->said != 0 ? self->said : there;
    return self->failing;
}

static content content_of(const char *identity, unsigned char with) {
    content self;
    memset(&self, 0, sizeof self);
    memset(self.bytes, with, LENGTH);
    self.identity = identity;
    return self;
}

static int attach(const char *store, content *self, uint32_t flags, dbrewind_volume **volume) {
    dbrewind_volume_options options = DBREWIND_INIT(options);
    dbrewind_medium medium = DBREWIND_INIT(medium);
    medium.user = self;
    medium.read = content_read;
    medium.write = content_write;
    medium.truncate = content_truncate;
    medium.length = content_length;
    medium.identity = content_identity;
    options.flags = flags;
    return dbrewind_volume_attach(store, "v", 64, &medium, &options, volume, &error);
}

static void fill(dbrewind_volume *volume, content *self, unsigned char with) {
    OK(dbrewind_volume_enter(volume, &error));
    OK(dbrewind_volume_will_write(volume, 0, LENGTH, &error));
    memset(self->bytes, with, LENGTH);
    OK(dbrewind_volume_commit(volume, NULL, &error));
}

static void told_apart(const char *store) {
    static content one, two;
    dbrewind_volume *first = NULL, *second = NULL, *third = NULL;
    dbrewind_mark_info mark = DBREWIND_INIT(mark);
    dbrewind_mark_list *marks = NULL;

    one = content_of("one", 1);
    two = content_of("two", 2);
    OK(attach(store, &one, 0, &first));
    OK(dbrewind_volume_mark(first, "m", 0, NULL, &error));
    fill(first, &one, 9);
    FAILS(DBREWIND_BUSY, attach(store, &two, 0, &second));
    FAILS(DBREWIND_BUSY, attach(store, &two, DBREWIND_VOLUME_ANEW, &second));
    CHECK(second == NULL && two.bytes[0] == 2);
    OK(attach(store, &one, 0, &third));
    OK(dbrewind_volume_rewind(third, dbrewind_to_mark("m"), NULL, NULL, &error));
    CHECK(one.bytes[0] == 1 && one.bytes[LENGTH - 1] == 1);
    OK(dbrewind_volume_detach(first, &error));
    FAILS(DBREWIND_BUSY, attach(store, &two, 0, &second));
    OK(dbrewind_volume_detach(third, &error));

    /* The name is free, but the marks are not those of this content. */
    OK(attach(store, &two, 0, &second));
    OK(dbrewind_volume_marks(second, &marks, &error));
    CHECK(dbrewind_mark_list_get(marks, 0, &mark) == DBREWIND_OK && mark.state == DBREWIND_LOST);
    dbrewind_mark_list_free(marks);
    OK(dbrewind_volume_detach(second, &error));

    one.said = 4097;
    FAILS(DBREWIND_INVALID_ARGUMENT, attach(store, &one, 0, &first));
    one.said = SIZE_MAX;
    FAILS(DBREWIND_INVALID_ARGUMENT, attach(store, &one, 0, &first));
    one.said = 0;
    one.failing = ENOENT;
    FAILS(DBREWIND_IO, attach(store, &one, 0, &first));
    CHECK(first == NULL);
}

/* As it was in the first version. */
typedef struct {
    size_t size;
    void *user;
    void (*functions[9])(void);
} first_medium;

static void compiled_before(const char *store) {
    static content table;
    dbrewind_medium now = DBREWIND_INIT(now);
    /* What is behind a shorter struct is not looked at. */
    struct {
        first_medium medium;
        void (*behind)(void);
    } given;
    dbrewind_volume *volume = NULL;

    CHECK(sizeof(first_medium) == offsetof(dbrewind_medium, identity));
    table = content_of("", 3);
    now.user = &table;
    now.read = content_read;
    now.write = content_write;
    now.truncate = content_truncate;
    now.length = content_length;
    memcpy(&given.medium, &now, sizeof given.medium);
    given.medium.size = sizeof given.medium;
    given.behind = (void (*)(void))content_length;
    OK(dbrewind_volume_attach(store, "before", 64, (const dbrewind_medium *)(const void *)&given, NULL, &volume, &error));
    OK(dbrewind_volume_mark(volume, "m", 0, NULL, &error));
    fill(volume, &table, 4);
    OK(dbrewind_volume_rewind(volume, dbrewind_to_mark("m"), NULL, NULL, &error));
    CHECK(table.bytes[0] == 3);
    OK(dbrewind_volume_detach(volume, &error));
}

int main(int count, char **arguments) {
    char *store;
    if (count < 2) {
        return 2;
    }
    store = joined(arguments[1], "history");
    told_apart(store);
    compiled_before(store);
    free(store);
    puts("right");
    return 0;
}
