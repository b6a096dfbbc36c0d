// What dbrewind/volume.hpp records: content that an engine lets us read and write, as a class of the engine's or as functions.
#ifndef DBREWIND_MEDIUM_HPP
#define DBREWIND_MEDIUM_HPP

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <mutex>
#include <new>
#include <string_view>
#include <system_error>

#include "../dbrewind.hpp"

namespace dbrewind {
inline namespace DBREWIND_INLINE_NAMESPACE {

class Volume;

/// What an engine does for its content, however that is read and written. Functions that answer an int answer 0 or an errno number; they may
/// throw as well: std::system_error is its number, std::bad_alloc ENOMEM, all else EIO. None of them may call a Volume.
class Storage {
public:
    /// A Volume that is still attached to it is abandoned (dbrewind_volume_abandon): its calls fail with DBREWIND_CLOSED from now on. No other thread may be
    /// in one.
    virtual ~Storage() {
        for (const auto &attached : attached_) {
            if (auto volume = attached.lock()) {
                dbrewind_volume_abandon(volume.get(), nullptr);
            }
        }
    }

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
    /// Bytes, at most 4096, that all who attach this content have in common, and no other content has: a second one under the same name is refused. None:
    /// they are not told apart. Asked once, before the lock.
    virtual int identity(std::string &) { return 0; }
    /// The content is another one: throw away what is cached of it. Under the lock.
    virtual void after_rewind(uint64_t /* lsn */) {}

protected:
    Storage() = default;
    // Nothing is attached to a copy.
    Storage(const Storage &) {}
    Storage &operator=(const Storage &) { return *this; }

private:
    friend class Volume;

    void attached_by(const std::shared_ptr<dbrewind_volume> &volume) {
        std::lock_guard<std::mutex> guard(mutex_);
        auto gone = [](const std::weak_ptr<dbrewind_volume> &one) { return one.expired(); };
        attached_.erase(std::remove_if(attached_.begin(), attached_.end(), gone), attached_.end());
        attached_.push_back(volume);
    }

    std::mutex mutex_;
    std::vector<std::weak_ptr<dbrewind_volume>> attached_;
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

/// What an engine does for its content, as functions; as those of Storage, and each of them may be left out, `lock` and `unlock` together.
struct StorageFunctions {
    std::function<int(std::chrono::milliseconds timeout)> lock;
    std::function<void()> unlock;
    std::function<int()> sync;
    std::function<int(std::string &stamp)> stamp;
    std::function<int(std::string &identity)> identity;
    std::function<void(uint64_t lsn)> after_rewind;
};

/// A Medium without a class: functions, which the volume keeps. What they refer to must stay until it is detached.
struct MediumFunctions : StorageFunctions {
    std::function<int(uint64_t offset, void *to, size_t length)> read;
    std::function<int(uint64_t offset, const void *from, size_t length)> write;
    std::function<int(uint64_t length)> truncate;
    std::function<int(uint64_t &length)> length;
};

/// A KeyedMedium without a class; as MediumFunctions.
struct KeyedMediumFunctions : StorageFunctions {
    std::function<int(uint64_t key, std::optional<std::string> &record)> read;
    std::function<int(uint64_t key, std::string_view record)> write;
    std::function<int(uint64_t key)> remove;
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

/// Puts the bytes that a function tells where C wants them, if there is room.
template <typename Tell>
int told(uint8_t *to, size_t room, size_t *length, Tell &&tell) noexcept {
    return contained([&] {
        std::string bytes;
        int failed = tell(bytes);
        *length = bytes.size();
        if (!failed && bytes.size() <= room) {
            std::memcpy(to, bytes.data(), bytes.size());
        }
        return failed;
    });
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
        return told(to, room, length, [&](std::string &stamp) { return static_cast<M *>(user)->stamp(stamp); });
    };
    raw.identity = [](void *user, uint8_t *to, size_t room, size_t *length) -> int {
        return told(to, room, length, [&](std::string &identity) { return static_cast<M *>(user)->identity(identity); });
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

/// A medium of either kind that calls functions.
template <typename M, typename F>
class Calling : public M {
public:
    explicit Calling(F functions) : functions_(std::move(functions)) {}
    int lock(std::chrono::milliseconds timeout) override { return functions_.lock(timeout); }
    void unlock() override { functions_.unlock(); }
    bool syncs() const override { return static_cast<bool>(functions_.sync); }
    int sync() override { return functions_.sync(); }
    int stamp(std::string &stamp) override { return functions_.stamp(stamp); }
    int identity(std::string &identity) override { return functions_.identity(identity); }
    void after_rewind(uint64_t lsn) override { functions_.after_rewind(lsn); }

    const F &functions() const { return functions_; }

protected:
    F functions_;
};

class CallingMedium final : public Calling<Medium, MediumFunctions> {
public:
    using Calling::Calling;
    int read(uint64_t offset, void *to, size_t length) override { return functions_.read(offset, to, length); }
    int write(uint64_t offset, const void *from, size_t length) override { return functions_.write(offset, from, length); }
    int truncate(uint64_t length) override { return functions_.truncate(length); }
    int length(uint64_t &length) override { return functions_.length(length); }
};

class CallingKeyedMedium final : public Calling<KeyedMedium, KeyedMediumFunctions> {
public:
    using Calling::Calling;
    int read(uint64_t key, std::optional<std::string> &record) override { return functions_.read(key, record); }
    int write(uint64_t key, std::string_view record) override { return functions_.write(key, record); }
    int remove(uint64_t key) override { return functions_.remove(key); }
};

template <typename F>
void keep_if(bool there, F *&function) {
    function = there ? function : nullptr;
}

/// Leaves out what is missing: C says what of it is required.
template <typename Raw>
void without_missing(Raw &raw, const StorageFunctions &given) {
    keep_if(static_cast<bool>(given.lock), raw.lock);
    keep_if(static_cast<bool>(given.unlock), raw.unlock);
    keep_if(static_cast<bool>(given.stamp), raw.stamp);
    keep_if(static_cast<bool>(given.identity), raw.identity);
    keep_if(static_cast<bool>(given.after_rewind), raw.after_rewind);
}

inline dbrewind_medium raw_of(CallingMedium &medium) {
    auto raw = raw_of(static_cast<Medium &>(medium));
    const MediumFunctions &given = medium.functions();
    without_missing(raw, given);
    keep_if(static_cast<bool>(given.read), raw.read);
    keep_if(static_cast<bool>(given.write), raw.write);
    keep_if(static_cast<bool>(given.truncate), raw.truncate);
    keep_if(static_cast<bool>(given.length), raw.length);
    return raw;
}

inline dbrewind_keyed_medium raw_of(CallingKeyedMedium &medium) {
    auto raw = raw_of(static_cast<KeyedMedium &>(medium));
    const KeyedMediumFunctions &given = medium.functions();
    without_missing(raw, given);
    keep_if(static_cast<bool>(given.read), raw.read);
    keep_if(static_cast<bool>(given.write), raw.write);
    keep_if(static_cast<bool>(given.remove), raw.remove);
    return raw;
}

} // namespace detail
} // namespace DBREWIND_INLINE_NAMESPACE
} // namespace dbrewind

#endif
