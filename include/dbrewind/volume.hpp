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
//     { dbrewind::Scope scope{volume}; /* changes */ }   // rewound here; not with the table locked
//
//     auto file = dbrewind::Volume::attach_file("history", "data", 4096, "data.bin");   // no engine: bytes in a file
//     auto change = file.change();
//     change.write(0, "something");
//     change.commit();
//
// Calls fail as those of dbrewind.hpp. rust/docs/volumes.md says what an engine promises.
#ifndef DBREWIND_VOLUME_HPP
#define DBREWIND_VOLUME_HPP

#include "file.hpp"
#include "medium.hpp"

namespace dbrewind {
inline namespace DBREWIND_INLINE_NAMESPACE {

/// How a volume is attached. What is zero is the default.
struct VolumeOptions {
    dbrewind_volume_options raw = DBREWIND_INIT(raw);

    /// The content is a new one, as of an engine in memory that has just begun; earlier marks are lost.
    VolumeOptions &anew() {
        raw.flags |= DBREWIND_VOLUME_ANEW;
        return *this;
    }
    /// The store takes at most so many bytes, from now on and for all who record into it.
    VolumeOptions &limit(uint64_t bytes) {
        raw.limit = bytes;
        return *this;
    }
    /// The store shall reach so far back, from now on and for all.
    VolumeOptions &window(std::chrono::seconds window) {
        raw.window_s = window.count() > 0 ? static_cast<uint64_t>(window.count()) : 0;
        return *this;
    }
    VolumeOptions &timeout(std::chrono::milliseconds timeout) {
        raw.timeout_ms = timeout.count() > 0 ? timeout.count() : -1;
        return *this;
    }
};

/// The content of an engine, being recorded until it is detached or destroyed. Any thread may use it, but for detaching, moving and destroying it.
class Volume {
public:
    /// Attaches to the volume of a name, with its history in a folder. `block_size`: a power of two from 16 to 1048576, the same for ever. `medium` must
    /// stay where it is until the volume is detached: declare it first. If it goes before, the volume is abandoned: its calls fail with DBREWIND_CLOSED.
    static Returned<Volume> attach(const std::string &store, const std::string &name, uint32_t block_size, Medium &medium,
                                   const VolumeOptions &options = VolumeOptions()) {
        return attach_blocks(store, name, block_size, &medium, nullptr, options);
    }
    /// The same, and keeps the medium for as long as this is there.
    static Returned<Volume> attach(const std::string &store, const std::string &name, uint32_t block_size,
                                   std::shared_ptr<Medium> medium, const VolumeOptions &options = VolumeOptions()) {
        return attach_blocks(store, name, block_size, medium.get(), medium, options);
    }
    /// The same with functions, which it keeps.
    static Returned<Volume> attach(const std::string &store, const std::string &name, uint32_t block_size,
                                   MediumFunctions functions, const VolumeOptions &options = VolumeOptions()) {
        auto medium = std::make_shared<detail::CallingMedium>(std::move(functions));
        return attach_blocks(store, name, block_size, medium.get(), medium, options);
    }
    /// The same for records under keys.
    static Returned<Volume> attach_keyed(const std::string &store, const std::string &name, KeyedMedium &medium,
                                         const VolumeOptions &options = VolumeOptions()) {
        return attach_records(store, name, &medium, nullptr, options);
    }
    static Returned<Volume> attach_keyed(const std::string &store, const std::string &name, std::shared_ptr<KeyedMedium> medium,
                                         const VolumeOptions &options = VolumeOptions()) {
        return attach_records(store, name, medium.get(), medium, options);
    }
    static Returned<Volume> attach_keyed(const std::string &store, const std::string &name, KeyedMediumFunctions functions,
                                         const VolumeOptions &options = VolumeOptions()) {
        auto medium = std::make_shared<detail::CallingKeyedMedium>(std::move(functions));
        return attach_records(store, name, medium.get(), medium, options);
    }

    /// Attaches to a volume whose content is a file, which is made if there is none: no functions are needed. It is read and written by `change`.
    static Returned<Volume> attach_file(const std::string &store, const std::string &name, uint32_t block_size, const std::string &file,
                                        const VolumeOptions &options = VolumeOptions()) {
        dbrewind_volume *volume = nullptr;
        auto call = [&](dbrewind_error **error) {
            return dbrewind_volume_attach_file(store.c_str(), name.c_str(), block_size, file.c_str(), &options.raw, &volume, error);
        };
        return detail::checked(call, [&] { return Volume(volume); });
    }

    /// Forgets a volume that nobody has attached: its marks, and what its history keeps from being evicted.
    static Returned<void> forget(const std::string &store, const std::string &name) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_forget(store.c_str(), name.c_str(), error); });
    }

    Volume(Volume &&other) noexcept = default;
    Volume &operator=(Volume &&other) noexcept {
        if (this != &other) {
            // Before its medium may go.
            volume_.reset();
            medium_ = std::move(other.medium_);
            volume_ = std::move(other.volume_);
        }
        return *this;
    }
    Volume(const Volume &) = delete;
    Volume &operator=(const Volume &) = delete;
    /// Detaches it. There is no place for an error; `detach` has one.
    ~Volume() = default;

    /// Ends recording; takes the lock. Detaching twice is allowed.
    Returned<void> detach() {
        // Its own detaching, later, finds that it is done.
        auto volume = std::exchange(volume_, nullptr);
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_detach(volume.get(), error); });
    }

    /// Begins a change of the file, or a look at it: locks it, for at most the timeout of the options. For those of `attach_file`; the volume must stay until the
    /// change is over.
    Returned<FileChange> change() {
        auto call = [&](dbrewind_error **error) { return dbrewind_file_begin(raw(), error); };
        return detail::checked(call, [&] { return FileChange(raw()); });
    }

    /// Begins to use the content: with the lock held, first thing. If it fails do not read the content.
    Returned<void> enter() {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_enter(raw(), error); });
    }
    /// So many bytes are about to be written: with the lock held, before the write.
    Returned<void> will_write(uint64_t offset, uint64_t length) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_will_write(raw(), offset, length, error); });
    }
    /// The same with what stands there and behind it, as far as the content goes: blocks that `old` covers are not read.
    Returned<void> will_write(uint64_t offset, uint64_t length, std::string_view old) {
        return detail::checked([&](dbrewind_error **error) {
            return dbrewind_volume_will_write_with(raw(), offset, length, old.data(), old.size(), error);
        });
    }
    /// The content is about to get this length, in bytes.
    Returned<void> will_truncate(uint64_t length) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_will_truncate(raw(), length, error); });
    }
    /// The record under a key is about to be inserted, changed or removed: with the lock held, before it is.
    Returned<void> will_change(uint64_t key) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_will_change(raw(), key, error); });
    }
    /// The same with the present record, or none if there is none, which is not read then.
    Returned<void> will_change(uint64_t key, std::optional<std::string_view> old) {
        return detail::checked([&](dbrewind_error **error) {
            uint64_t length = old ? old->size() : DBREWIND_ABSENT;
            return dbrewind_volume_will_change_with(raw(), key, old ? old->data() : nullptr, length, error);
        });
    }
    /// The change is complete: with the lock held, after the last write. Gives the new moment, or the newest one if nothing has changed.
    Returned<Moment> commit() {
        dbrewind_moment now{};
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_commit(raw(), &now, error); };
        return detail::checked(call, [&] { return Moment(now); });
    }

    /// Names the newest moment; takes the lock. `pages` of a mark are blocks.
    Returned<Mark> mark(const std::string &name) { return set_mark(name, 0); }
    /// Keeps what the mark needs from being evicted, until it is dropped.
    Returned<Mark> pin(const std::string &name) { return set_mark(name, DBREWIND_PIN); }
    Returned<void> drop(const std::string &name) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_volume_drop(raw(), name.c_str(), error); });
    }

    /// All marks, oldest first.
    Returned<std::vector<Mark>> marks() const {
        dbrewind_mark_list *list = nullptr;
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_marks(raw(), &list, error); };
        return detail::checked(call, [&] { return detail::marks_of(list); });
    }

    /// Makes the content what it was at a moment, in place; takes the lock. `timeout`: 0 for that of the options, negative for none.
    Returned<Rewound> rewind(const Target &to, std::chrono::milliseconds timeout = {}, bool use_earliest = false) {
        dbrewind_rewind_options how = DBREWIND_INIT(how);
        how.timeout_ms = timeout.count();
        how.flags = use_earliest ? DBREWIND_USE_EARLIEST : 0;
        dbrewind_rewound done = DBREWIND_INIT(done);
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_rewind(raw(), to.raw(), &how, &done, error); };
        return detail::checked(call, [&] { return detail::rewound_of(done); });
    }

    Returned<bool> dirty_since(const Target &to) const {
        int dirty = 0;
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_dirty_since(raw(), to.raw(), &dirty, error); };
        return detail::checked(call, [&] { return dirty != 0; });
    }
    Returned<Moment> now() const {
        dbrewind_moment now{};
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_now(raw(), &now, error); };
        return detail::checked(call, [&] { return Moment(now); });
    }

    /// How far back the history reaches, and how the marks do; the bytes are the store's.
    Returned<dbrewind_status_info> status() const {
        dbrewind_status_info status = DBREWIND_INIT(status);
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_status(raw(), &status, nullptr, error); };
        return detail::checked(call, [&] { return status; });
    }
    /// Marks that keep what they need from being evicted, oldest first.
    Returned<std::vector<Pin>> pins() const {
        dbrewind_status_info status = DBREWIND_INIT(status);
        dbrewind_pin_list *list = nullptr;
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_status(raw(), &status, &list, error); };
        return detail::checked(call, [&] { return detail::pins_of(list); });
    }
    /// The stopped processes that sealing, evictions and rewinds may have to wait for.
    Returned<std::vector<Process>> waits_for() const {
        dbrewind_process_list *list = nullptr;
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_waits_for(raw(), &list, error); };
        return detail::checked(call, [&] { return detail::processes_of(list); });
    }

    /// For the C calls; stays this object's.
    dbrewind_volume *raw() const noexcept { return volume_.get(); }

private:
    explicit Volume(dbrewind_volume *volume)
        : volume_(volume, [](dbrewind_volume *gone) { dbrewind_volume_detach(gone, nullptr); }) {}
    Volume(dbrewind_volume *volume, Storage &medium, std::shared_ptr<Storage> owned) : Volume(volume) {
        medium_ = std::move(owned);
        medium.attached_by(volume_);
    }

    template <typename M>
    static Returned<Volume> attach_blocks(const std::string &store, const std::string &name, uint32_t block_size, M *medium,
                                          std::shared_ptr<Storage> owned, const VolumeOptions &options) {
        dbrewind_volume *volume = nullptr;
        dbrewind_medium raw = medium ? detail::raw_of(*medium) : dbrewind_medium();
        auto call = [&](dbrewind_error **error) {
            return dbrewind_volume_attach(store.c_str(), name.c_str(), block_size, medium ? &raw : nullptr, &options.raw, &volume, error);
        };
        return detail::checked(call, [&] { return Volume(volume, *medium, std::move(owned)); });
    }
    template <typename M>
    static Returned<Volume> attach_records(const std::string &store, const std::string &name, M *medium,
                                           std::shared_ptr<Storage> owned, const VolumeOptions &options) {
        dbrewind_volume *volume = nullptr;
        dbrewind_keyed_medium raw = medium ? detail::raw_of(*medium) : dbrewind_keyed_medium();
        auto call = [&](dbrewind_error **error) {
            return dbrewind_volume_attach_keyed(store.c_str(), name.c_str(), medium ? &raw : nullptr, &options.raw, &volume, error);
        };
        return detail::checked(call, [&] { return Volume(volume, *medium, std::move(owned)); });
    }

    Returned<Mark> set_mark(const std::string &name, uint32_t flags) {
        dbrewind_mark_info info = DBREWIND_INIT(info);
        auto call = [&](dbrewind_error **error) { return dbrewind_volume_mark(raw(), name.c_str(), flags, &info, error); };
        return detail::checked(call, [&] { return Mark(info); });
    }

    // What this keeps of the medium; none if it is another's. Goes after the volume.
    std::shared_ptr<Storage> medium_;
    std::shared_ptr<dbrewind_volume> volume_;
};

} // namespace DBREWIND_INLINE_NAMESPACE
} // namespace dbrewind

#endif
