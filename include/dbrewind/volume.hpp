// dbrewind for engines that are not SQLite, in C++17: their content is recorded, and rewound in place. Header-only, over dbrewind.h.
//
//     #include <dbrewind/volume.hpp>
//
//     struct Table : dbrewind::KeyedMedium { ... int read(uint64_t key, std::optional<std::string> &record) override; ... };
//
//     Table table;
//     auto volume = dbrewind::Volume::attach_keyed("history", "table", table, dbrewind::VolumeOptions().anew());
//     volume.mark("base");
//     volume.will_change(7);   // with the table locked, before row 7 is inserted, changed or removed
//     volume.commit();
//     volume.rewind("base");
//
// Calls fail as those of dbrewind.hpp. rust/docs/volumes.md says what an engine promises.
#ifndef DBREWIND_VOLUME_HPP
#define DBREWIND_VOLUME_HPP

#include <cerrno>
#include <cstring>
#include <new>
#include <string_view>
#include <system_error>

#include "../dbrewind.hpp"

namespace dbrewind {
inline namespace DBREWIND_INLINE_NAMESPACE {

/// What an engine does for its content, however that is read and written. Functions that answer an int answer 0 or an errno number; they may
/// throw as well: std::system_error is its number, std::bad_alloc ENOMEM, all else EIO. None of them may call a Volume.
class Storage {
public:
    virtual ~Storage() = default;

    /// Keeps all other threads and processes from the content until `unlock`. EBUSY: it was not free for so long.
    virtual int lock(std::chrono::milliseconds timeout) = 0;
    /// Lets the others go on. On the thread that locked.
    virtual void unlock() = 0;
    /// Whether the content outlasts a power cut once `sync` has returned.
    virtual bool syncs() const { return false; }
    /// Waits until all that was written is on the disk. Asked only where `syncs`.
    virtual int sync() { return 0; }
    /// Bytes, at most 4096, that are others than before when anybody has written unrecorded. None: nothing tells.
    virtual int stamp(std::string &) { return 0; }
    /// The content is another one: throw away what is cached of it. Under the lock.
    virtual void after_rewind(uint64_t /* lsn */) {}

protected:
    Storage() = default;
    Storage(const Storage &) = default;
    Storage &operator=(const Storage &) = default;
};

/// Content that is read and written by offset.
class Medium : public Storage {
public:
    /// Reads so many bytes, all of them below the length.
    virtual int read(uint64_t offset, void *to, size_t length) = 0;
    /// Writes so many bytes, all of them below the length. Only a rewind does.
    virtual int write(uint64_t offset, const void *from, size_t length) = 0;
    /// Makes the content so long, in bytes: longer, with zeros, or shorter. Only a rewind does.
    virtual int truncate(uint64_t length) = 0;
    /// How long the content is, in bytes.
    virtual int length(uint64_t &length) = 0;
};

/// Content that is records of any length, 16 MiB at most, each under a number but UINT64_MAX.
class KeyedMedium : public Storage {
public:
    /// Puts the record into `record`, which is empty and stays so if there is none.
    virtual int read(uint64_t key, std::optional<std::string> &record) = 0;
    /// Makes these bytes the record, whether there is one or not. Only a rewind does.
    virtual int write(uint64_t key, std::string_view record) = 0;
    /// Removes the record, if there is one. Only a rewind does.
    virtual int remove(uint64_t key) = 0;
};

/// How a volume is attached. What is zero is the default.
struct VolumeOptions {
    dbrewind_volume_options raw = DBREWIND_INIT(raw);

    /// The content is a new one, as of an engine in memory that has just begun; earlier marks are lost.
    VolumeOptions &anew() {
        raw.flags |= DBREWIND_VOLUME_ANEW;
        return *this;
    }
    VolumeOptions &timeout(std::chrono::milliseconds timeout) {
        raw.timeout_ms = timeout.count() > 0 ? timeout.count() : -1;
        return *this;
    }
};

namespace detail {

/// Runs a function of the caller's: nothing that it throws gets into C.
template <typename Run>
int contained(Run &&run) noexcept {
#ifdef __cpp_exceptions
    try {
        return run();
    } catch (const std::system_error &error) {
        return error.code().value() != 0 ? error.code().value() : EIO;
    } catch (const std::bad_alloc &) {
        return ENOMEM;
    } catch (...) {
        return EIO;
    }
#else
    return run();
#endif
}

/// What media of both kinds have in C.
template <typename Raw, typename M>
Raw storage_of(M &medium) {
    Raw raw = DBREWIND_INIT(raw);
    raw.user = &medium;
    raw.lock = [](void *user, uint64_t timeout_ms) -> int {
        // Longer than anybody waits, and no milliseconds overflow when they are added to a time.
        auto timeout = std::chrono::milliseconds(timeout_ms < 1000000000000 ? static_cast<int64_t>(timeout_ms) : 1000000000000);
        return contained([&] { return static_cast<M *>(user)->lock(timeout); });
    };
    raw.unlock = [](void *user) {
        (void)contained([&] { return static_cast<M *>(user)->unlock(), 0; });
    };
    if (medium.syncs()) {
        raw.sync = [](void *user) -> int { return contained([&] { return static_cast<M *>(user)->sync(); }); };
    }
    raw.stamp = [](void *user, uint8_t *to, size_t room, size_t *length) -> int {
        return contained([&] {
            std::string stamp;
            int failed = static_cast<M *>(user)->stamp(stamp);
            *length = stamp.size();
            if (!failed && stamp.size() <= room) {
                std::memcpy(to, stamp.data(), stamp.size());
            }
            return failed;
        });
    };
    raw.after_rewind = [](void *user, uint64_t lsn) {
        (void)contained([&] { return static_cast<M *>(user)->after_rewind(lsn), 0; });
    };
    return raw;
}

inline dbrewind_medium raw_of(Medium &medium) {
    auto raw = storage_of<dbrewind_medium>(medium);
    raw.read = [](void *user, uint64_t offset, void *to, size_t length) -> int {
        return contained([&] { return static_cast<Medium *>(user)->read(offset, to, length); });
    };
    raw.write = [](void *user, uint64_t offset, const void *from, size_t length) -> int {
        return contained([&] { return static_cast<Medium *>(user)->write(offset, from, length); });
    };
    raw.truncate = [](void *user, uint64_t length) -> int {
        return contained([&] { return static_cast<Medium *>(user)->truncate(length); });
    };
    raw.length = [](void *user, uint64_t *length) -> int {
        return contained([&] { return static_cast<Medium *>(user)->length(*length); });
    };
    return raw;
}

inline dbrewind_keyed_medium raw_of(KeyedMedium &medium) {
    auto raw = storage_of<dbrewind_keyed_medium>(medium);
    raw.read = [](void *user, uint64_t key, void *to, size_t room, uint64_t *length) -> int {
        return contained([&] {
            std::optional<std::string> record;
            int failed = static_cast<KeyedMedium *>(user)->read(key, record);
            *length = record ? record->size() : DBREWIND_ABSENT;
            if (!failed && record && record->size() <= room) {
                std::memcpy(to, record->data(), record->size());
            }
            return failed;
        });
    };
    raw.write = [](void *user, uint64_t key, const void *from, size_t length) -> int {
        auto record = std::string_view(static_cast<const char *>(from), length);
        return contained([&] { return static_cast<KeyedMedium *>(user)->write(key, record); });
    };
    raw.remove = [](void *user, uint64_t key) -> int {
        return contained([&] { return static_cast<KeyedMedium *>(user)->remove(key); });
    };
    return raw;
}

} // namespace detail

/// The content of an engine, being recorded until it is detached or destroyed. Any thread may use it, but for detaching, moving and destroying it.
class Volume {
public:
    /// Attaches to the volume of a name, with its history in a folder. `block_size`: a power of two from 16 to 1048576, the same for ever. `medium` must
    /// stay where it is until the volume is detached: declare it first.
    static Returned<Volume> attach(const std::string &store, const std::string &name, uint32_t block_size, Medium &medium,
                                   const VolumeOptions &options = VolumeOptions()) {
        dbrewind_volume *volume = nullptr;
        dbrewind_medium raw = detail::raw_of(medium);
        auto call = [&](dbrewind_error **error) {
            return dbrewind_volume_attach(store.c_str(), name.c_str(), block_size, &raw, &options.raw, &volume, error);
        };
        return detail::checked(call, [&] { return Volume(volume); });
    }
    /// The same for records under keys.
    static Returned<Volume> attach_keyed(const std::string &store, const std::string &name, KeyedMedium &medium,
                                         const VolumeOptions &options = VolumeOptions()) {
        dbrewind_volume *volume = nullptr;
        dbrewind_keyed_medium raw = detail::raw_of(medium);
        auto call = [&](dbrewind_error **error) {
            return dbrewind_volume_attach_keyed(store.c_str(), name.c_str(), &raw, &options.raw, &volume, error);
        };
        return detail::checked(call, [&] { return Volume(volume); });
    }

    /// Forgets a volume that nobody has attached: its marks, and what its history keeps from being evicted.
    static Returned<void> forget(const std::string &store, const std::string &name) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_forget(store.c_str(), name.c_str(), error); });
    }

    Volume(Volume &&other) noexcept : volume_(std::exchange(other.volume_, nullptr)) {}
    Volume &operator=(Volume &&other) noexcept {
        if (this != &other) {
            dbrewind_volume_detach(std::exchange(volume_, std::exchange(other.volume_, nullptr)), nullptr);
        }
        return *this;
    }
    Volume(const Volume &) = delete;
    Volume &operator=(const Volume &) = delete;
    /// Detaches it. There is no place for an error; `detach` has one.
    ~Volume() { dbrewind_volume_detach(volume_, nullptr); }

    /// Ends recording; takes the lock. Detaching twice is allowed.
    Returned<void> detach() {
        dbrewind_volume *volume = std::exchange(volume_, nullptr);
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_detach(volume, error); });
    }

    /// Begins to use the content: with the lock held, first thing. If it fails do not read the content.
    Returned<void> enter() {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_enter(volume_, error); });
    }
    /// So many bytes are about to be written: with the lock held, before the write.
    Returned<void> will_write(uint64_t offset, uint64_t length) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_will_write(volume_, offset, length, error); });
    }
    /// The same with what stands there and behind it, as far as the content goes: blocks that `old` covers are not read.
    Returned<void> will_write(uint64_t offset, uint64_t length, std::string_view old) {
        return detail::checked([&](dbrewind_error **error) {
            return dbrewind_volume_will_write_with(volume_, offset, length, old.data(), old.size(), error);
        });
    }
    /// The content is about to get this length, in bytes.
    Returned<void> will_truncate(uint64_t length) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_will_truncate(volume_, length, error); });
    }
    /// The record under a key is about to be inserted, changed or removed: with the lock held, before it is.
    Returned<void> will_change(uint64_t key) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_will_change(volume_, key, error); });
    }
    /// The same with the present record, or none if there is none, which is not read then.
    Returned<void> will_change(uint64_t key, std::optional<std::string_view> old) {
        return detail::checked([&](dbrewind_error **error) {
            uint64_t length = old ? old->size() : DBREWIND_ABSENT;
            return dbrewind_volume_will_change_with(volume_, key, old ? old->data() : nullptr, length, error);
        });
    }
    /// The change is complete: with the lock held, after the last write. Gives the new moment, or the newest one if nothing has changed.
    Returned<Moment> commit() {
        dbrewind_moment now{};
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_commit(volume_, &now, error); };
        return detail::checked(call, [&] { return Moment(now); });
    }

    /// Names the newest moment; takes the lock. `pages` of a mark are blocks.
    Returned<Mark> mark(const std::string &name) { return set_mark(name, 0); }
    /// Keeps what the mark needs from being evicted, until it is dropped.
    Returned<Mark> pin(const std::string &name) { return set_mark(name, DBREWIND_PIN); }
    Returned<void> drop(const std::string &name) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_drop(volume_, name.c_str(), error); });
    }

    /// All marks, oldest first.
    Returned<std::vector<Mark>> marks() const {
        dbrewind_mark_list *list = nullptr;
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_marks(volume_, &list, error); };
        return detail::checked(call, [&] { return detail::marks_of(list); });
    }

    /// Makes the content what it was at a moment, in place; takes the lock. `timeout`: 0 for that of the options, negative for none.
    Returned<Rewound> rewind(const Target &to, std::chrono::milliseconds timeout = {}) {
        dbrewind_rewind_options how = DBREWIND_INIT(how);
        how.timeout_ms = timeout.count();
        dbrewind_rewound done = DBREWIND_INIT(done);
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_rewind(volume_, to.raw(), &how, &done, error); };
        return detail::checked(call, [&] { return detail::rewound_of(done); });
    }

    Returned<bool> dirty_since(const Target &to) const {
        int dirty = 0;
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_dirty_since(volume_, to.raw(), &dirty, error); };
        return detail::checked(call, [&] { return dirty != 0; });
    }
    Returned<Moment> now() const {
        dbrewind_moment now{};
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_now(volume_, &now, error); };
        return detail::checked(call, [&] { return Moment(now); });
    }

    /// For the C calls; stays this object's.
    dbrewind_volume *raw() const noexcept { return volume_; }

private:
    explicit Volume(dbrewind_volume *volume) noexcept : volume_(volume) {}

    Returned<Mark> set_mark(const std::string &name, uint32_t flags) {
        dbrewind_mark_info info = DBREWIND_INIT(info);
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_mark(volume_, name.c_str(), flags, &info, error); };
        return detail::checked(call, [&] { return Mark(info); });
    }

    dbrewind_volume *volume_ = nullptr;
};

} // namespace DBREWIND_INLINE_NAMESPACE
} // namespace dbrewind

#endif
