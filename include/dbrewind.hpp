// dbrewind for C++17: owners that close themselves, exceptions, std::chrono. Header-only, over dbrewind.h.
//
//     #include <sqlite3.h>     // first, for own_sqlite()
//     #include <dbrewind.hpp>
//
//     dbrewind::Database db{"app.db", dbrewind::own_sqlite()};
//     db.mark("base");
//     { dbrewind::Scope scope{db}; /* anybody commits */ }   // rewound here
//     auto done = db.rewind("base");
//     db.rewind(done.undo);
//
// What fails throws dbrewind::Error. With DBREWIND_NO_EXCEPTIONS, and under -fno-exceptions, it returns a Result instead, which holds
// the value or the error, and a Database is opened by `Database::open`:
//
//     auto db = dbrewind::Database::open("app.db", dbrewind::own_sqlite());
//     if (!db) { std::puts(db.error()->what()); }
//     else if (auto done = db->rewind("base")) { db->rewind(done->undo).value(); }
//
// Any thread may use a Database, but for closing, moving and destroying it. Rules and promises: rust/docs/c-abi.md. For suites of tests:
// dbrewind/gtest.hpp and dbrewind/catch2.hpp.
#ifndef DBREWIND_HPP
#define DBREWIND_HPP

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dbrewind.h"
#include "dbrewind/error.hpp"

namespace dbrewind {
inline namespace DBREWIND_INLINE_NAMESPACE {
namespace detail {

template <typename T>
using Owned = std::unique_ptr<T, void (*)(T *)>;

} // namespace detail

using Clock = std::chrono::system_clock;
using Time = Clock::time_point;

/// The system's clock may be coarser than a nanosecond: what is below is cut off.
inline Time time_of(uint64_t nanoseconds) {
    return Time(std::chrono::duration_cast<Clock::duration>(std::chrono::nanoseconds(nanoseconds)));
}

/// A moment of one database. May be stored.
struct Moment : dbrewind_moment {
    Moment(dbrewind_moment moment) : dbrewind_moment(moment) {}

    friend bool operator==(const Moment &a, const Moment &b) { return a.lsn == b.lsn && a.database == b.database; }
    friend bool operator!=(const Moment &a, const Moment &b) { return !(a == b); }
};

enum class State : uint32_t {
    hot = DBREWIND_HOT,
    archived = DBREWIND_ARCHIVED,
    evicted = DBREWIND_EVICTED,
    lost = DBREWIND_LOST,
};

enum class Method : uint32_t { moved = DBREWIND_MOVED, written = DBREWIND_WRITTEN, nothing = DBREWIND_NOTHING };

struct Mark {
    std::string name;
    Moment moment;
    Time time;
    uint64_t pages;
    State state;
    bool pinned;

    explicit Mark(const dbrewind_mark_info &info)
        : name(info.name),
          moment(info.moment),
          time(time_of(info.time)),
          pages(info.pages),
          state(static_cast<State>(info.state)),
          pinned(info.pinned != 0) {}
};

/// A mark that keeps what it needs from being evicted.
struct Pin {
    std::string name;
    Moment moment;
    Time time;
    /// Bytes of the store that it holds.
    uint64_t bytes;

    explicit Pin(const dbrewind_pin_info &info)
        : name(info.name), moment(info.moment), time(time_of(info.time)), bytes(info.bytes) {}
};

/// Another process that has the store open.
struct Process {
    std::string name;
    uint32_t pid;
    /// It does not run: by Ctrl-Z, SIGSTOP or a debugger.
    bool stopped;
    /// Which of the store's locks it holds, in words, with ", " between them.
    std::string holds;

    explicit Process(const dbrewind_process_info &info)
        : name(info.name), pid(info.pid), stopped(info.stopped != 0), holds(info.holds) {}
};

/// What a rewind did; a rewind to `undo` takes it back.
struct Rewound {
    Moment to, undo;
    Time time;
    uint64_t pages;
    std::chrono::duration<double> took;
    Method method;
};

namespace detail {

/// Takes the list.
template <typename T, typename List, typename Info>
std::vector<T> listed(List *list, int (*get)(const List *, size_t, Info *), void (*free)(List *)) {
    Owned<List> owned(list, free);
    std::vector<T> all;
    Info info = DBREWIND_INIT(info);
    for (size_t place = 0; get(list, place, &info) == DBREWIND_OK; place++) {
        all.emplace_back(info);
    }
    return all;
}

inline std::vector<Mark> marks_of(dbrewind_mark_list *list) {
    return listed<Mark>(list, dbrewind_mark_list_get, dbrewind_mark_list_free);
}

inline std::vector<Pin> pins_of(dbrewind_pin_list *list) {
    return listed<Pin>(list, dbrewind_pin_list_get, dbrewind_pin_list_free);
}

inline std::vector<Process> processes_of(dbrewind_process_list *list) {
    return listed<Process>(list, dbrewind_process_list_get, dbrewind_process_list_free);
}

inline Rewound rewound_of(const dbrewind_rewound &done) {
    auto took = std::chrono::duration<double>(done.seconds);
    return Rewound{done.to, done.undo, time_of(done.time), done.pages, took, static_cast<Method>(done.method)};
}

} // namespace detail

/// Where to. A string is what people write: "5 minutes ago", or a mark's name.
class Target {
public:
    Target(const char *text) : Target(std::string(text)) {}
    Target(std::string text) : text_(std::move(text)), raw_(dbrewind_to_text("")) {}
    Target(const dbrewind_moment &moment) : raw_(dbrewind_to_moment(moment)) {}
    Target(const Mark &mark) : raw_(dbrewind_to_moment(mark.moment)) {}
    /// To the last nanosecond that the clock does not tell from this one, so that the time of a moment leads to that moment.
    Target(Time time) : raw_(dbrewind_to_now()) {
        using std::chrono::nanoseconds;
        auto since = std::chrono::duration_cast<nanoseconds>(time.time_since_epoch()).count();
        auto tick = nanoseconds(Clock::duration(1)).count();
        raw_ = dbrewind_to_time(since < 0 ? 0 : static_cast<uint64_t>(since + tick - 1));
    }

    /// A mark, whatever its name reads as.
    static Target mark(std::string name) {
        Target target(std::move(name));
        target.raw_ = dbrewind_to_mark("");
        return target;
    }
    static Target ago(std::chrono::nanoseconds span) {
        return Target(dbrewind_to_ago(span.count() < 0 ? 0 : static_cast<uint64_t>(span.count())));
    }
    static Target now() { return Target(dbrewind_to_now()); }

    /// For the C calls; as long as this is there.
    dbrewind_target raw() const {
        dbrewind_target raw = raw_;
        raw.text = raw.text ? text_.c_str() : nullptr;
        return raw;
    }

private:
    explicit Target(dbrewind_target raw) : raw_(raw) {}

    std::string text_;
    dbrewind_target raw_;
};

/// How a database is opened. What is zero or empty is the default.
struct Options {
    std::string store, keeper;
    dbrewind_options raw = DBREWIND_INIT(raw);
    dbrewind_sqlite_api sqlite = dbrewind_sqlite_api();
};

#ifdef SQLITE_VERSION_NUMBER
/// The options with the functions of the SQLite that this file is compiled with. Not `inline`: files may differ in that.
static inline Options own_sqlite(Options options = Options()) {
    dbrewind_sqlite_fill(&options.sqlite);
    return options;
}
#endif

/// A past moment, kept to be read through `uri()`.
class Past {
public:
    explicit Past(dbrewind_past *past) : past_(past, dbrewind_past_free) {}
    /// For sqlite3_open_v2 with SQLITE_OPEN_READONLY | SQLITE_OPEN_URI.
    std::string uri() const { return dbrewind_past_uri(past_.get()); }
    Moment moment() const { return dbrewind_past_moment(past_.get()); }
    Time time() const { return time_of(dbrewind_past_time(past_.get())); }
    /// Why the newest read that failed did so; SQLite says no more than SQLITE_IOERR. Empty when none has failed.
    std::string failure() const {
        const char *why = dbrewind_past_failure(past_.get());
        return why ? why : "";
    }

private:
    detail::Owned<dbrewind_past> past_;
};

/// What differs between two moments. `raw()` is for the functions dbrewind_difference_...
class Difference {
public:
    explicit Difference(dbrewind_difference *raw) : raw_(raw, dbrewind_difference_free) {}
    bool empty() const {
        return dbrewind_difference_table_count(raw()) == 0 && dbrewind_difference_schema_count(raw()) == 0 &&
               dbrewind_difference_counter_count(raw()) == 0;
    }
    /// For people, a line for each table.
    std::string text() const { return dbrewind_difference_text(raw()); }
    const dbrewind_difference *raw() const { return raw_.get(); }

private:
    detail::Owned<dbrewind_difference> raw_;
};

/// A database that is being recorded, until it is closed or destroyed.
class Database {
public:
    /// Begins to record. Fails as every call does.
    static Returned<Database> open(const std::string &path, const Options &options = Options()) {
        dbrewind_options raw = options.raw;
        raw.store = options.store.empty() ? raw.store : options.store.c_str();
        raw.keeper = options.keeper.empty() ? raw.keeper : options.keeper.c_str();
        raw.sqlite = options.sqlite.size == 0 ? raw.sqlite : &options.sqlite;
        dbrewind_db *db = nullptr;
        auto call = [&](dbrewind_error **error) { return dbrewind_open(path.c_str(), &raw, &db, error); };
        return detail::checked(call, [&] { return Database(db); });
    }
#ifndef DBREWIND_NO_EXCEPTIONS
    explicit Database(const std::string &path, const Options &options = Options()) : Database(open(path, options)) {}
#endif

    Database(Database &&other) noexcept : db_(std::exchange(other.db_, nullptr)) {}
    Database &operator=(Database &&other) noexcept {
        if (this != &other) {
            dbrewind_close(std::exchange(db_, std::exchange(other.db_, nullptr)), nullptr);
        }
        return *this;
    }
    Database(const Database &) = delete;
    Database &operator=(const Database &) = delete;
    /// Closes it. There is no place for an error; `close` has one.
    ~Database() { dbrewind_close(db_, nullptr); }

    /// Stops recording. Closing twice is allowed.
    Returned<void> close() {
        dbrewind_db *db = std::exchange(db_, nullptr);
        return detail::checked([&](dbrewind_error **error) { return dbrewind_close(db, error); });
    }

    Returned<Mark> mark(const std::string &name) { return set_mark(name, 0); }
    /// Keeps what the mark needs from being evicted, until it is dropped.
    Returned<Mark> pin(const std::string &name) { return set_mark(name, DBREWIND_PIN); }
    Returned<void> drop(const std::string &name) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_drop(db_, name.c_str(), error); });
    }

    /// All marks, oldest first.
    Returned<std::vector<Mark>> marks() const {
        dbrewind_mark_list *list = nullptr;
        auto call = [&](dbrewind_error **error) { return dbrewind_marks(db_, &list, error); };
        return detail::checked(call, [&] { return detail::marks_of(list); });
    }

    /// Makes the database what it was at a moment, in place. `timeout`: 0 for that of the options, negative for none.
    Returned<Rewound> rewind(const Target &to, std::chrono::milliseconds timeout = {}, bool use_earliest = false) {
        dbrewind_rewind_options how = DBREWIND_INIT(how);
        how.timeout_ms = timeout.count();
        how.flags = use_earliest ? DBREWIND_USE_EARLIEST : 0;
        dbrewind_rewound done = DBREWIND_INIT(done);
        auto call = [&](dbrewind_error **error) { return dbrewind_rewind(db_, to.raw(), &how, &done, error); };
        return detail::checked(call, [&] { return detail::rewound_of(done); });
    }

    Returned<Past> at(const Target &to) const {
        dbrewind_past *past = nullptr;
        auto call = [&](dbrewind_error **error) { return dbrewind_at(db_, to.raw(), &past, error); };
        return detail::checked(call, [&] { return Past(past); });
    }
    Returned<void> clone(const Target &to, const std::string &file) const {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_clone(db_, to.raw(), file.c_str(), error); });
    }
    Returned<Difference> diff(const Target &from, const Target &to = Target::now()) const {
        dbrewind_difference *diff = nullptr;
        auto call = [&](dbrewind_error **error) { return dbrewind_diff(db_, from.raw(), to.raw(), &diff, error); };
        return detail::checked(call, [&] { return Difference(diff); });
    }
    Returned<bool> dirty_since(const Target &to) const {
        int dirty = 0;
        auto call = [&](dbrewind_error **error) { return dbrewind_dirty_since(db_, to.raw(), &dirty, error); };
        return detail::checked(call, [&] { return dirty != 0; });
    }
    Returned<Moment> now() const {
        dbrewind_moment now{};
        auto call = [&](dbrewind_error **error) { return dbrewind_now(db_, &now, error); };
        return detail::checked(call, [&] { return Moment(now); });
    }
    Returned<std::array<unsigned char, 16>> digest() const {
        std::array<unsigned char, 16> digest{};
        auto call = [&](dbrewind_error **error) { return dbrewind_digest(db_, digest.data(), error); };
        return detail::checked(call, [&] { return digest; });
    }
    Returned<dbrewind_status_info> status() const {
        dbrewind_status_info status = DBREWIND_INIT(status);
        auto call = [&](dbrewind_error **error) { return dbrewind_status(db_, &status, nullptr, error); };
        return detail::checked(call, [&] { return status; });
    }
    /// Marks that keep what they need from being evicted, oldest first.
    Returned<std::vector<Pin>> pins() const {
        dbrewind_status_info status = DBREWIND_INIT(status);
        dbrewind_pin_list *list = nullptr;
        auto call = [&](dbrewind_error **error) { return dbrewind_status(db_, &status, &list, error); };
        return detail::checked(call, [&] { return detail::pins_of(list); });
    }
    /// The stopped processes that sealing, evictions and rewinds may have to wait for.
    Returned<std::vector<Process>> waits_for() const {
        dbrewind_process_list *list = nullptr;
        auto call = [&](dbrewind_error **error) { return dbrewind_waits_for(db_, &list, error); };
        return detail::checked(call, [&] { return detail::processes_of(list); });
    }
    Returned<dbrewind_info> info() const {
        dbrewind_info info = DBREWIND_INIT(info);
        auto call = [&](dbrewind_error **error) { return dbrewind_get_info(db_, &info, error); };
        return detail::checked(call, [&] { return info; });
    }

    /// For the C calls; stays this object's.
    dbrewind_db *raw() const noexcept { return db_; }

private:
    explicit Database(dbrewind_db *db) noexcept : db_(db) {}

    Returned<Mark> set_mark(const std::string &name, uint32_t flags) {
        dbrewind_mark_info info = DBREWIND_INIT(info);
        auto call = [&](dbrewind_error **error) { return dbrewind_mark(db_, name.c_str(), flags, &info, error); };
        return detail::checked(call, [&] { return Mark(info); });
    }

    dbrewind_db *db_ = nullptr;
};

/// What is written while it is there is rewound at its end.
class Scope {
public:
    /// What a destructor calls when the rewind fails, and, without exceptions, the constructor when there is no mark to rewind to. By
    /// default the text is printed, and the program ends: it would go on with a database in the wrong state.
    using Handler = void (*)(const Error &);
    static std::atomic<Handler> &handler() {
        static std::atomic<Handler> handler{[](const Error &error) { detail::give_up("dbrewind::Scope", error); }};
        return handler;
    }

    /// `recorded`, a Database or a Volume, must stay where it is.
    template <typename Recorded, typename = decltype(std::declval<Recorded &>().mark(std::string()))>
    explicit Scope(Recorded &recorded) : end_(&Scope::end_in<Recorded>) {
        auto marked = recorded.mark(fresh_name(this));
#ifdef DBREWIND_NO_EXCEPTIONS
        if (const Error *failed = marked.error()) {
            handler().load()(*failed);
            return;
        }
        mark_.emplace(*std::move(marked));
#else
        mark_.emplace(std::move(marked));
#endif
        recorded_ = &recorded;
    }
    Scope(const Scope &) = delete;
    Scope &operator=(const Scope &) = delete;
    ~Scope() {
        if (auto failed = detail::failure_of([this] { return end(); })) {
            handler().load()(*failed);
        }
    }

    /// Rewinds now, and fails as every call does. The destructor has nothing to do after it.
    Returned<void> end() { return recorded_ ? (this->*end_)() : Returned<void>(); }

    /// Without exceptions: whether it will rewind. With a handler that returns it may be that it cannot.
    explicit operator bool() const noexcept { return recorded_ != nullptr; }

    /// Not after a constructor that failed.
    const Mark &mark() const { return *mark_; }

private:
    static std::string fresh_name(const void *scope) {
        char name[80];
        auto now = Clock::now().time_since_epoch().count();
        std::snprintf(name, sizeof name, "scope %p-%llx", scope, static_cast<unsigned long long>(now));
        return name;
    }

    template <typename Recorded>
    Returned<void> end_in() {
        auto *recorded = static_cast<Recorded *>(recorded_);
#ifdef DBREWIND_NO_EXCEPTIONS
        if (auto done = recorded->rewind(*mark_); !done) {
            return *done.error();
        }
#else
        recorded->rewind(*mark_);
#endif
        // Only now: after a failed rewind the mark is the way back.
        recorded_ = nullptr;
        return recorded->drop(mark_->name);
    }

    void *recorded_ = nullptr;
    Returned<void> (Scope::*end_)();
    std::optional<Mark> mark_;
};

} // namespace DBREWIND_INLINE_NAMESPACE
} // namespace dbrewind

#endif
