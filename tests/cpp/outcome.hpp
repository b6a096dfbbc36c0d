// How programs of this folder that are compiled with exceptions and without say what a call comes to.
#ifndef OUTCOME_HPP
#define OUTCOME_HPP

#include "../capi/check.h"

// Before `done` is a macro.
#include <dbrewind/volume.hpp>

#ifdef DBREWIND_NO_EXCEPTIONS
template <typename T>
inline T done(dbrewind::Result<T> result) {
    return std::move(result).value();
}
inline void done(dbrewind::Result<void> result) { result.value(); }
#else
#define done
#endif

template <typename Call>
inline void fails(int code, Call &&call) {
    auto why = dbrewind::detail::failure_of(call);
    CHECK(why && why->code() == code);
    CHECK(std::string(why->what()).find(dbrewind_code_text(code)) == 1);
}

#endif
