// dbrewind/file.hpp: a volume that is a file: file FOLDER. With exceptions, and, compiled with -fno-exceptions, without.
#include "outcome.hpp"

#include <type_traits>

static_assert(!std::is_copy_constructible_v<dbrewind::FileChange> && std::is_nothrow_move_constructible_v<dbrewind::FileChange>);

static void put(dbrewind::Volume &volume, uint64_t offset, std::string_view text) {
    auto change = done(volume.change());
    done(change.write(offset, text));
    auto moment = done(change.commit());
    CHECK(moment == done(volume.now()));
}

static std::string content(dbrewind::Volume &volume) {
    auto change = done(volume.change());
    std::string found = done(change.read(0, 1000));
    CHECK(found.size() == done(change.length()));
    return found;
}

int main(int argc, char **argv) {
    CHECK(argc >= 2);
    std::string folder = argv[1], store = folder + "/history", path = folder + "/data";
    auto options = dbrewind::VolumeOptions().timeout(std::chrono::milliseconds(0));
    {
        auto volume = done(dbrewind::Volume::attach_file(store, "data", 64, path, options));
        put(volume, 2, "first");
        auto first = done(volume.mark("first"));
        put(volume, 100, "far");
        {
            dbrewind::Scope scope{volume};
            auto change = done(volume.change());
            done(change.truncate(3));
            fails(DBREWIND_INVALID_ARGUMENT, [&] { return volume.change(); });
            fails(DBREWIND_BUSY, [&] { return volume.rewind("first"); });
            // Goes before the scope ends, and counts.
            auto moved = std::move(change);
            CHECK(done(moved.read(0, 9)) == std::string("\0\0f", 3));
        }
        CHECK(content(volume).size() == 103);
        CHECK(done(volume.rewind("first")).to == first.moment);
        CHECK(content(volume) == std::string("\0\0first", 7));
        fails(DBREWIND_INVALID_ARGUMENT, [&] { return volume.will_write(0, 1); });
        auto change = done(volume.change());
        (void)done(change.commit());
        fails(DBREWIND_INVALID_ARGUMENT, [&] { return change.write(0, "x"); });
    }
    auto volume = done(dbrewind::Volume::attach_file(store, "data", 64, path, options));
    put(volume, 0, "again");
    (void)done(volume.rewind("first"));
    CHECK(content(volume) == std::string("\0\0first", 7));
    fails(DBREWIND_IO, [&] { return dbrewind::Volume::attach_file(store, "no", 64, folder + "/not/there", options); });
    std::puts("right");
    return 0;
}
