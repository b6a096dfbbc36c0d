//! C++: the header, with exceptions and without.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::toolchain::{compiler, has, in_both_modes, libraries, root, run, under_valgrind};

/// Compiles a program of `tests/cpp` with the shared library and the system's SQLite.
pub(crate) fn cpp_program(folder: &Path, libraries: &Path, name: &str, more: &[&str]) -> PathBuf {
    let out = folder.join(name);
    let search = libraries.display();
    let mut command = compiler("c++17");
    command.arg(root().join("tests/cpp").join(name).with_extension("cpp")).args(["-x", "none"]).args(more);
    command.arg("-o").arg(&out).arg(format!("-L{search}"));
    run(command.args(["-ldbrewind", "-lsqlite3", "-lpthread"]).arg(format!("-Wl,-rpath,{search}")));
    out
}

const SANITIZED: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

#[test]
fn a_program_in_cpp() {
    let Some(libraries) = libraries() else { return };
    if !has("c++") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for flags in [&[][..], &SANITIZED] {
        let story = cpp_program(folder.path(), &libraries, "story", flags);
        in_both_modes(|| Command::new(&story), &[]);
    }
}

#[test]
fn a_program_in_cpp_without_exceptions() {
    let Some(libraries) = libraries() else { return };
    if !has("c++") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-fno-exceptions", SANITIZED[0], SANITIZED[1]];
    let results = cpp_program(folder.path(), &libraries, "results", &flags);
    in_both_modes(|| Command::new(&results), &[]);
}

/// An engine of its own: no SQLite is asked for anything.
#[test]
fn volumes_in_cpp() {
    let Some(libraries) = libraries() else { return };
    if !has("c++") {
        return;
    }
    let programs = tempfile::tempdir().unwrap();
    let right = |mut command: Command| {
        let folder = tempfile::tempdir().unwrap();
        let out = run(command.arg(folder.path()));
        assert_eq!(String::from_utf8_lossy(&out.stdout), "right\n");
    };
    for name in ["volumes", "media", "file"] {
        for flags in [&[][..], &["-fno-exceptions"]] {
            let flags = [flags, &SANITIZED].concat();
            right(Command::new(cpp_program(programs.path(), &libraries, name, &flags)));
        }
        if has("valgrind") {
            right(under_valgrind(&cpp_program(programs.path(), &libraries, name, &[])));
        }
    }
}

/// A file with exceptions and one without, in one program: each calls its own.
#[test]
fn both_kinds_of_files_in_one_program() {
    let Some(libraries) = libraries() else { return };
    if !has("c++") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let with = "#include <dbrewind.hpp>\nbool without();\nint main() {\n    try { dbrewind::Database db{\"/nowhere/app.db\"}; }\n\
                    catch (const dbrewind::Error &) { return without() ? 0 : 2; }\n    return 1;\n}\n";
    let without = "#define DBREWIND_NO_EXCEPTIONS\n#include <dbrewind.hpp>\nbool without();\n\
                    bool without() { return !dbrewind::Database::open(\"/nowhere/app.db\"); }\n";
    let sources = [("with.cpp", with), ("without.cpp", without)].map(|(name, text)| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    });
    let program = folder.path().join("both");
    let mut command = compiler("c++17");
    command.args(sources).args(["-x", "none", "-o"]).arg(&program).arg(format!("-L{}", libraries.display()));
    run(command.arg("-ldbrewind").arg(format!("-Wl,-rpath,{}", libraries.display())));
    run(&mut Command::new(program));
}
