// dbrewind/volume.hpp: media that are functions, that the volume owns, and that go before it; scopes; what a volume tells, and where it goes:
// media FOLDER. With exceptions, and, compiled with -fno-exceptions, without.
#include "outcome.hpp"

#include <map>
#include <thread>
#include <type_traits>

static_assert(!std::is_move_constructible_v<dbrewind::Scope> && !std::is_constructible_v<dbrewind::Scope, int &>);

/// Content in memory, and the functions for it.
struct Bytes {
    std::timed_mutex mutex;
    std::string content = std::string(1000, '7');
    int rewound = 0;

    dbrewind::MediumFunctions functions() {
        dbrewind::MediumFunctions medium;
        medium.lock = [this](std::chrono::milliseconds timeout) { return mutex.try_lock_for(timeout) ? 0 : EBUSY; };
        medium.unlock = [this] { mutex.unlock(); };
        medium.after_rewind = [this](uint64_t) { rewound++; };
        medium.read = [this](uint64_t offset, void *to, size_t length) {
            content.copy(static_cast<char *>(to), length, offset);
            return 0;
        };
        medium.write = [this](uint64_t offset, const void *from, size_t length) {
            content.replace(offset, length, static_cast<const char *>(from), length);
            return 0;
        };
        medium.truncate = [this](uint64_t length) { return content.resize(length, '\0'), 0; };
        medium.length = [this](uint64_t &length) { return length = content.size(), 0; };
        return medium;
    }

    void fill(dbrewind::Volume &volume, char with) {
        std::lock_guard<std::timed_mutex> guard(mutex);
        done(volume.enter());
        done(volume.will_write(0, content.size()));
        content.assign(content.size(), with);
        (void)done(volume.commit());
    }
};

/// The same as a class, which says when it goes.
struct Owned final : dbrewind::Medium {
    Bytes bytes;
    dbrewind::MediumFunctions with = bytes.functions();
    bool *gone;

    explicit Owned(bool *gone) : gone(gone) {}
    ~Owned() override { *gone = true; }
    int lock(std::chrono::milliseconds timeout) override { return with.lock(timeout); }
    void unlock() override { with.unlock(); }
    int read(uint64_t offset, void *to, size_t length) override { return with.read(offset, to, length); }
    int write(uint64_t offset, const void *from, size_t length) override { return with.write(offset, from, length); }
    int truncate(uint64_t length) override { return with.truncate(length); }
    int length(uint64_t &length) override { return with.length(length); }
};

static dbrewind::VolumeOptions anew() { return dbrewind::VolumeOptions().anew(); }

static void functions(const std::string &store) {
    Bytes bytes;
    auto missing = bytes.functions();
    missing.truncate = nullptr;
    fails(DBREWIND_INVALID_ARGUMENT, [&] { return dbrewind::Volume::attach(store, "functions", 64, missing); });
    missing = bytes.functions();
    missing.unlock = nullptr;
    fails(DBREWIND_INVALID_ARGUMENT, [&] { return dbrewind::Volume::attach(store, "functions", 64, missing); });
    dbrewind::Volume volume = done(dbrewind::Volume::attach(store, "functions", 64, bytes.functions(), anew()));
    (void)done(volume.mark("seeded"));
    bytes.fill(volume, 'x');
    dbrewind::Volume moved = std::move(volume);
    (void)done(moved.rewind("seeded"));
    CHECK(bytes.content == std::string(1000, '7') && bytes.rewound == 1);

    // No more than what is required: one thread does all.
    std::map<uint64_t, std::string> rows;
    dbrewind::KeyedMediumFunctions table;
    fails(DBREWIND_INVALID_ARGUMENT, [&] { return dbrewind::Volume::attach_keyed(store, "rows", table); });
    table.read = [&](uint64_t key, std::optional<std::string> &record) {
        if (auto found = rows.find(key); found != rows.end()) {
            record = found->second;
        }
        return 0;
    };
    table.write = [&](uint64_t key, std::string_view record) { return rows[key] = record, 0; };
    table.remove = [&](uint64_t key) { return rows.erase(key), 0; };
    dbrewind::Volume keyed = done(dbrewind::Volume::attach_keyed(store, "rows", table, anew()));
    (void)done(keyed.mark("seeded"));
    done(keyed.will_change(7));
    rows[7] = "seven";
    (void)done(keyed.commit());
    auto undo = done(keyed.rewind("seeded")).undo;
    CHECK(rows.empty());
    (void)done(keyed.rewind(undo));
    CHECK(rows.size() == 1 && rows[7] == "seven");
}

static void owned(const std::string &store) {
    bool gone[2] = {false, false};
    {
        auto medium = std::make_unique<Owned>(&gone[0]);
        dbrewind::Volume volume = done(dbrewind::Volume::attach(store, "owned", 64, std::move(medium), anew()));
        (void)done(volume.mark("m"));
        CHECK(!gone[0]);
        volume = done(dbrewind::Volume::attach(store, "owned, too", 64, std::make_shared<Owned>(&gone[1]), anew()));
        CHECK(gone[0] && !gone[1]);
        (void)done(volume.mark("m"));
    }
    CHECK(gone[1]);
    auto none = [&] { return dbrewind::Volume::attach(store, "none", 64, std::shared_ptr<dbrewind::Medium>(), anew()); };
    fails(DBREWIND_INVALID_ARGUMENT, none);
    auto no_records = [&] { return dbrewind::Volume::attach_keyed(store, "none", std::shared_ptr<dbrewind::KeyedMedium>()); };
    fails(DBREWIND_INVALID_ARGUMENT, no_records);
}

/// The content goes before its volumes.
static void gone_before(const std::string &store) {
    bool gone = false;
    std::optional<dbrewind::Volume> first, second, before;
    {
        Owned medium(&gone);
        before.emplace(done(dbrewind::Volume::attach(store, "before", 64, medium, anew())));
        done(before->detach());
        first.emplace(done(dbrewind::Volume::attach(store, "first", 64, medium, anew())));
        second.emplace(done(dbrewind::Volume::attach(store, "second", 64, medium, anew())));
        (void)done(first->mark("m"));
        dbrewind::Volume moved = std::move(*first);
        first.emplace(std::move(moved));
    }
    CHECK(gone);
    std::thread other([&] { fails(DBREWIND_CLOSED, [&] { return first->enter(); }); });
    other.join();
    fails(DBREWIND_CLOSED, [&] { return first->mark("n"); });
    fails(DBREWIND_CLOSED, [&] { return first->will_write(0, 1); });
    fails(DBREWIND_CLOSED, [&] { return second->rewind("m"); });
    fails(DBREWIND_CLOSED, [&] { return first->detach(); });
    done(before->detach());
    second.reset();
    // Nobody has it attached any more.
    done(dbrewind::Volume::forget(store, "first"));
    done(dbrewind::Volume::forget(store, "second"));
}

static int said = 0;

static void scopes(const std::string &store) {
    Bytes bytes;
    dbrewind::Volume volume = done(dbrewind::Volume::attach(store, "scopes", 64, bytes.functions(), anew()));
    auto before = bytes.content;
    {
        dbrewind::Scope scope{volume};
        CHECK(scope && scope.mark().pages == 16);
        bytes.fill(volume, 'x');
        {
            dbrewind::Scope inner{volume};
            bytes.fill(volume, 'y');
        }
        CHECK(bytes.content == std::string(1000, 'x'));
    }
    CHECK(bytes.content == before && done(volume.marks()).empty());
    {
        dbrewind::Scope scope{volume};
        bytes.fill(volume, 'z');
        done(scope.end());
        CHECK(bytes.content == before && !scope);
        done(scope.end());
    }
    // It cannot be rewound at its end.
    dbrewind::Scope::handler() = [](const dbrewind::Error &error) { said = error.code(); };
    {
        dbrewind::Scope scope{volume};
        done(volume.detach());
    }
    CHECK(said == DBREWIND_INVALID_ARGUMENT);
}

static void told(const std::string &store) {
    Bytes bytes;
    auto options = anew().limit(64 << 20).window(std::chrono::hours(1));
    {
        dbrewind::Volume lost = done(dbrewind::Volume::attach(store, "told", 64, bytes.functions(), options));
        (void)done(lost.mark("lost"));
    }
    dbrewind::Volume volume = done(dbrewind::Volume::attach(store, "told", 64, bytes.functions(), options));
    auto first = done(volume.pin("first"));
    bytes.fill(volume, 'x');
    auto second = done(volume.mark("second"));
    bytes.fill(volume, 'y');
    auto status = done(volume.status());
    CHECK(status.archived == 2 && status.lost == 1 && status.hot == 0 && status.evicted == 0);
    CHECK(status.state == DBREWIND_WINDOW_OK && status.limit == 64 << 20 && status.target_s == 3600);
    CHECK(status.used == status.raw + status.sealed && status.earliest.database == first.moment.database);
    auto pins = done(volume.pins());
    CHECK(pins.size() == 1 && pins[0].name == "first" && pins[0].moment == first.moment && pins[0].time == first.time);

    CHECK(done(volume.rewind(second.time)).to == second.moment && bytes.content[0] == 'x');
    CHECK(done(volume.rewind(first.time)).to == first.moment && bytes.content[0] == '7');
    using namespace std::chrono_literals;
    auto undo = done(volume.rewind("second")).undo;
    (void)done(volume.rewind(undo));
    CHECK(bytes.content[0] == '7');
    (void)done(volume.rewind("second"));
    fails(DBREWIND_BEFORE_WINDOW, [&] { return volume.rewind(dbrewind::Target::ago(1h)); });
    fails(DBREWIND_MARK_LOST, [&] { return volume.rewind("lost"); });
    CHECK(bytes.content[0] == 'x');
    CHECK(done(volume.rewind(dbrewind::Target::ago(1h), 0ms, true)).to == dbrewind::Moment(status.earliest));
    CHECK(bytes.content[0] == '7');
    (void)done(volume.rewind("second"));
    CHECK(done(volume.rewind("lost", 0ms, true)).to == dbrewind::Moment(status.earliest) && bytes.content[0] == '7');
}

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    std::string store = std::string(argv[1]) + "/history";
    functions(store);
    owned(store);
    gone_before(store);
    scopes(store);
    told(store);
    std::puts("right");
    return 0;
}
