// What dbrewind/volume.hpp does for content that is a file: changes of it, which need no functions of an engine.
#ifndef DBREWIND_FILE_HPP
#define DBREWIND_FILE_HPP

#include <string_view>

#include "../dbrewind.hpp"

namespace dbrewind {
inline namespace DBREWIND_INLINE_NAMESPACE {

class Volume;

/// A change of a file, or a look at it, by the thread that began it. Nobody else reads or writes meanwhile; a mark or a rewind of that thread fails with
/// DBREWIND_BUSY.
///
/// What is destroyed without `commit` is not taken back: it counts as a moment. Only a rewind takes back.
class FileChange {
public:
    FileChange(FileChange &&other) noexcept : volume_(std::exchange(other.volume_, nullptr)) {}
    FileChange &operator=(FileChange &&) = delete;
    FileChange(const FileChange &) = delete;
    FileChange &operator=(const FileChange &) = delete;
    ~FileChange() {
        if (volume_) {
            dbrewind_file_end(volume_, nullptr, nullptr);
        }
    }

    /// The bytes from an offset, at most so many; fewer at the end of the file.
    Returned<std::string> read(uint64_t offset, size_t length) const {
        std::string bytes(length, '\0');
        uint64_t count = 0;
        auto call = [&](dbrewind_error **error) {
            return dbrewind_file_read(volume_, offset, bytes.data(), length, &count, error);
        };
        return detail::checked(call, [&] {
            bytes.resize(static_cast<size_t>(count));
            return std::move(bytes);
        });
    }
    /// Writes bytes at an offset; past the end the file grows, with zeros where nothing is written.
    Returned<void> write(uint64_t offset, std::string_view bytes) {
        return detail::checked([&](dbrewind_error **error) {
            return dbrewind_file_write(volume_, offset, bytes.data(), bytes.size(), error);
        });
    }
    /// Makes the file so long, in bytes.
    Returned<void> truncate(uint64_t length) {
        return detail::checked([&](dbrewind_error **error) { return dbrewind_file_truncate(volume_, length, error); });
    }
    /// How long the file is, in bytes.
    Returned<uint64_t> length() const {
        uint64_t length = 0;
        auto call = [&](dbrewind_error **error) { return dbrewind_file_length(volume_, &length, error); };
        return detail::checked(call, [&] { return length; });
    }

    /// Ends the change: what was written is a moment. Gives it, or the newest one if nothing was written. Calls after it fail with DBREWIND_INVALID_ARGUMENT.
    Returned<Moment> commit() {
        dbrewind_moment now{};
        auto *volume = std::exchange(volume_, nullptr);
        auto call = [&](dbrewind_error **error) { return dbrewind_file_end(volume, &now, error); };
        return detail::checked(call, [&] { return Moment(now); });
    }

private:
    friend class Volume;

    explicit FileChange(dbrewind_volume *volume) noexcept : volume_(volume) {}

    dbrewind_volume *volume_;
};

} // namespace DBREWIND_INLINE_NAMESPACE
} // namespace dbrewind

#endif
