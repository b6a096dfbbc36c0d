// How calls of dbrewind.hpp fail: by an exception, or, with DBREWIND_NO_EXCEPTIONS, by a result that holds the error.
//
// DBREWIND_NO_EXCEPTIONS is defined by whoever includes the header, or by itself under -fno-exceptions. Both kinds of files may be
// linked into one program: their classes are in different inline namespaces.
#ifndef DBREWIND_ERROR_HPP
#define DBREWIND_ERROR_HPP

#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "../dbrewind.h"

#if !defined(DBREWIND_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define DBREWIND_NO_EXCEPTIONS
#endif
#ifdef DBREWIND_NO_EXCEPTIONS
#define DBREWIND_INLINE_NAMESPACE results
#else
#define DBREWIND_INLINE_NAMESPACE exceptions
#endif

namespace dbrewind {
inline namespace DBREWIND_INLINE_NAMESPACE {

/// Why a call failed. `what()` says what happened, why, and what helps; `code()` is DBREWIND_BUSY and its like.
class Error : public std::runtime_error {
public:
    /// Takes `error`, which may be null.
    Error(int code, dbrewind_error *error)
        : std::runtime_error(error ? dbrewind_error_text(error) : dbrewind_code_title(code)),
          error_(error, dbrewind_error_free),
          code_(code) {}

    int code() const noexcept { return code_; }

    /// A detail by its name, "nearest" or "holder"; empty if there is none.
    std::string detail(const char *name) const {
        const char *found = dbrewind_error_detail(error_.get(), name);
        return found ? found : "";
    }

private:
    // Shared: an exception is copied.
    std::shared_ptr<dbrewind_error> error_;
    int code_;
};

namespace detail {

/// Ends the program: it would go on without what it asked for.
[[noreturn]] inline void give_up(const char *who, const Error &error) {
    std::fprintf(stderr, "%s: %s\n", who, error.what());
    std::terminate();
}

} // namespace detail

#ifdef DBREWIND_NO_EXCEPTIONS

/// What a call gives, or why it failed. To ask for a value that is not there prints the error and ends the program.
template <typename T>
class [[nodiscard]] Result {
public:
    Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    /// Whether there is a value.
    explicit operator bool() const noexcept { return held_.index() == 0; }

    T &value() & {
        if (const Error *failed = error()) {
            detail::give_up("dbrewind::Result", *failed);
        }
        return *std::get_if<0>(&held_);
    }
    const T &value() const & { return const_cast<Result *>(this)->value(); }
    T &&value() && { return std::move(value()); }

    T &operator*() & { return value(); }
    const T &operator*() const & { return value(); }
    T &&operator*() && { return std::move(value()); }
    T *operator->() { return &value(); }
    const T *operator->() const { return &value(); }

    /// Why there is none; null if there is one.
    const Error *error() const noexcept { return std::get_if<1>(&held_); }

private:
    std::variant<T, Error> held_;
};

/// Whether a call without a value was done.
template <>
class [[nodiscard]] Result<void> {
public:
    Result() = default;
    Result(Error error) : error_(std::move(error)) {}

    explicit operator bool() const noexcept { return !error_; }
    /// Prints the error and ends the program if there is one.
    void value() const {
        if (error_) {
            detail::give_up("dbrewind::Result", *error_);
        }
    }
    /// Why it was not; null if it was.
    const Error *error() const noexcept { return error_ ? &*error_ : nullptr; }

private:
    std::optional<Error> error_;
};

/// What calls return that may fail.
template <typename T>
using Returned = Result<T>;

#else

/// What calls return that may fail: the value itself, since they throw `Error`.
template <typename T>
using Returned = T;

#endif

namespace detail {

/// Calls `call(&error)`, and answers what `make()` makes of its outcome; or fails as it did.
template <typename Call, typename Make>
auto checked(Call &&call, Make &&make) -> Returned<decltype(make())> {
    dbrewind_error *error = nullptr;
    if (int code = call(&error)) {
#ifdef DBREWIND_NO_EXCEPTIONS
        return Error(code, error);
#else
        throw Error(code, error);
#endif
    }
#ifdef DBREWIND_NO_EXCEPTIONS
    if constexpr (std::is_void_v<decltype(make())>) {
        make();
        return {};
    } else {
        return make();
    }
#else
    return make();
#endif
}

/// The same for a call without a value.
template <typename Call>
Returned<void> checked(Call &&call) {
    return checked(std::forward<Call>(call), [] {});
}

/// Why a call of ours fails, for code that has to be right in both ways; nothing if it was done.
template <typename Call>
std::optional<Error> failure_of(Call &&call) {
#ifdef DBREWIND_NO_EXCEPTIONS
    auto done = call();
    return done ? std::nullopt : std::optional<Error>(*done.error());
#else
    try {
        call();
    } catch (const Error &error) {
        return error;
    }
    return std::nullopt;
#endif
}

/// The same for a call with a value, which is put into `out`.
template <typename Call, typename T>
std::optional<Error> failure_of(Call &&call, std::optional<T> &out) {
#ifdef DBREWIND_NO_EXCEPTIONS
    auto done = call();
    if (const Error *failed = done.error()) {
        return *failed;
    }
    out.emplace(*std::move(done));
    return std::nullopt;
#else
    return failure_of([&] { out.emplace(call()); });
#endif
}

} // namespace detail
} // namespace DBREWIND_INLINE_NAMESPACE
} // namespace dbrewind

#endif
