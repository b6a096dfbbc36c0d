// dbrewind/volume.hpp over content in memory: volumes FOLDER. With exceptions, and, compiled with -fno-exceptions, without.
#include "outcome.hpp"

#include <map>
#include <mutex>
#include <thread>
#include <type_traits>

static_assert(!std::is_copy_constructible_v<dbrewind::Volume> && std::is_nothrow_move_constructible_v<dbrewind::Volume>);
static_assert(std::is_nothrow_move_assignable_v<dbrewind::Volume>);

#ifdef DBREWIND_NO_EXCEPTIONS
static void thrown(int) {}
#else
static void thrown(int kind) {
    if (kind == 1) throw std::system_error(ENOSPC, std::generic_category());
    if (kind == 2) throw std::bad_alloc();
    if (kind == 3) throw 7;
}
#endif

struct Locked {
    std::timed_mutex mutex;
    int rewound = 0;
    /// How its functions fail: 0 they do not, 1 to 3 by an exception, 4 by a number.
    int failing = 0;

    int taken(std::chrono::milliseconds timeout) { return mutex.try_lock_for(timeout) ? 0 : EBUSY; }
    int outcome() const {
        thrown(failing);
        return failing ? EIO : 0;
    }
};

struct Bytes final : dbrewind::Medium, Locked {
    std::string content = std::string(1000, '7');

    int lock(std::chrono::milliseconds timeout) override { return taken(timeout); }
    void unlock() override { mutex.unlock(); }
    int read(uint64_t offset, void *to, size_t length) override {
        content.copy(static_cast<char *>(to), length, offset);
        return outcome();
    }
    int write(uint64_t offset, const void *from, size_t length) override {
        content.replace(offset, length, static_cast<const char *>(from), length);
        return outcome();
    }
    int truncate(uint64_t length) override {
        content.resize(length, '\0');
        return outcome();
    }
    int length(uint64_t &length) override {
        length = content.size();
        return 0;
    }
    void after_rewind(uint64_t lsn) override { rewound += lsn > 0; }
};

struct Table final : dbrewind::KeyedMedium, Locked {
    std::map<uint64_t, std::string> rows;
    dbrewind::Volume *volume = nullptr;
    int reads = 0;

    int lock(std::chrono::milliseconds timeout) override { return taken(timeout); }
    void unlock() override { mutex.unlock(); }
    bool syncs() const override { return true; }
    int stamp(std::string &stamp) override {
        stamp = "stamp";
        return 0;
    }
    int read(uint64_t key, std::optional<std::string> &record) override {
        reads++;
        auto found = rows.find(key);
        if (found != rows.end()) {
            record = found->second;
        }
        return outcome();
    }
    int write(uint64_t key, std::string_view record) override {
        int number = outcome();
        if (!number) {
            rows[key] = std::string(record);
        }
        return number;
    }
    int remove(uint64_t key) override {
        int number = outcome();
        if (!number) {
            rows.erase(key);
        }
        return number;
    }

    void put(uint64_t key, std::optional<std::string> row, bool known) {
        std::lock_guard<std::timed_mutex> guard(mutex);
        done(volume->enter());
        auto found = rows.find(key);
        if (!known) {
            done(volume->will_change(key));
        } else if (found == rows.end()) {
            done(volume->will_change(key, std::nullopt));
        } else {
            done(volume->will_change(key, found->second));
        }
        if (row) {
            rows[key] = *row;
        } else {
            rows.erase(key);
        }
        (void)done(volume->commit());
    }
};

static void blocks(const std::string &store) {
    Bytes bytes;
    dbrewind::Volume first = done(dbrewind::Volume::attach(store, "bytes", 64, bytes, dbrewind::VolumeOptions().anew()));
    dbrewind::Volume volume = std::move(first);
    CHECK(first.raw() == nullptr && volume.raw() != nullptr);
    fails(DBREWIND_INVALID_ARGUMENT, [&] { return first.enter(); });
    dbrewind::Mark seeded = done(volume.mark("seeded"));
    CHECK(seeded.name == "seeded" && seeded.pages == 16 && !done(volume.dirty_since("seeded")));
    {
        std::lock_guard<std::timed_mutex> guard(bytes.mutex);
        done(volume.enter());
        done(volume.will_write(10, 3));
        bytes.content.replace(10, 3, "abc");
        done(volume.will_write(128, 64, std::string_view(bytes.content).substr(128, 64)));
        bytes.content.replace(128, 64, std::string(64, 'x'));
        done(volume.will_truncate(500));
        bytes.content.resize(500);
        auto committed = done(volume.commit());
        CHECK(committed == done(volume.now()));
    }
    auto changed = bytes.content;
    auto rewound = done(volume.rewind(seeded));
    CHECK(bytes.content == std::string(1000, '7') && bytes.rewound == 1 && rewound.pages > 0);
    (void)done(volume.rewind(rewound.undo));
    CHECK(bytes.content == changed);
    for (bytes.failing = 1; bytes.failing <= 4; bytes.failing++) {
        fails(DBREWIND_IO, [&] { return volume.rewind("seeded"); });
    }
    bytes.failing = 0;
    (void)done(volume.rewind("seeded"));
    CHECK(bytes.content == std::string(1000, '7'));
    fails(DBREWIND_MARK_NOT_FOUND, [&] { return volume.rewind(dbrewind::Target::mark("nothing")); });
    fails(DBREWIND_INVALID_ARGUMENT, [&] { return volume.will_change(1); });
    {
        std::lock_guard<std::timed_mutex> guard(bytes.mutex);
        fails(DBREWIND_BUSY, [&] { return volume.rewind("seeded", std::chrono::milliseconds(-1)); });
    }
    fails(DBREWIND_BUSY, [&] { return dbrewind::Volume::forget(store, "bytes"); });
    done(volume.detach());
    done(volume.detach());
    done(dbrewind::Volume::forget(store, "bytes"));
    fails(DBREWIND_INVALID_ARGUMENT, [&] { return dbrewind::Volume::forget(store, "bytes"); });
    fails(DBREWIND_INVALID_ARGUMENT, [&] { return volume.now(); });
}

static void records(const std::string &store) {
    Table table;
    Bytes bytes;
    dbrewind::Volume volume = done(dbrewind::Volume::attach_keyed(store, "rows", table, dbrewind::VolumeOptions().anew()));
    table.volume = &volume;
    table.put(1, "one", false);
    table.put(2, std::string(5000, '2'), true);
    table.put(3, "", false);
    (void)done(volume.pin("seeded"));
    auto seeded = table.rows;
    int reads = table.reads;
    table.put(1, std::nullopt, true);
    table.put(4, "four", true);
    CHECK(table.reads == reads);
    table.put(2, "two", false);
    table.put(3, std::nullopt, false);
    auto changed = table.rows;
    for (table.failing = 1; table.failing <= 4; table.failing++) {
        fails(DBREWIND_IO, [&] { return volume.rewind("seeded"); });
    }
    table.failing = 0;
    auto rewound = done(volume.rewind("seeded"));
    CHECK(table.rows == seeded && rewound.pages == 4);
    (void)done(volume.rewind(rewound.undo));
    CHECK(table.rows == changed && done(volume.marks()).size() == 1 && done(volume.marks())[0].pinned);
    done(volume.drop("seeded"));
    fails(DBREWIND_INVALID_ARGUMENT, [&] { return volume.will_write(0, 1); });
    fails(DBREWIND_INVALID_ARGUMENT, [&] { return volume.will_change(UINT64_MAX, "x"); });
    // Threads, and a new one in the place of the old.
    (void)done(volume.mark("threads"));
    auto before = table.rows;
    std::thread other([&] {
        for (uint64_t i = 0; i < 200; i++) {
            table.put(i % 20, std::to_string(i), i % 2 == 0);
        }
    });
    for (int i = 0; i < 10; i++) {
        (void)done(volume.rewind("threads"));
    }
    other.join();
    (void)done(volume.rewind("threads"));
    CHECK(table.rows == before);
    volume = done(dbrewind::Volume::attach(store, "in its place", 64, bytes));
    CHECK(done(volume.marks()).empty());
    // What the engine cannot say ends the recording.
    bytes.failing = 3;
    (void)done(volume.mark("m"));
    fails(DBREWIND_IO, [&] { return volume.will_write(0, 1); });
    bytes.failing = 4;
    fails(DBREWIND_IO, [&] { return volume.rewind("m"); });
}

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    std::string store = std::string(argv[1]) + "/history";
    blocks(store);
    records(store);
    std::puts("right");
    return 0;
}
