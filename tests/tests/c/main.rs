//! The C interface, as C programs meet it (`tests/capi`): compiled without a warning as C99, C11 and C++17, and run on real
//! databases with the shared library, with the static one and a SQLite compiled in, and from an extension of SQLite; under
//! valgrind and `AddressSanitizer`.
//!
//! `make capi-test` makes the libraries first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod abi;
mod cpp;
mod installed;
mod suites;
mod symbols;
mod toolchain;

use std::path::PathBuf;
use std::process::Command;

use toolchain::{
    built, compiler, has, here, in_both_modes, libraries, program, root, run, source, under_valgrind,
};

const PROGRAMS: [&str; 13] = [
    "story",
    "hostile",
    "keeper",
    "extension",
    "alone",
    "volume",
    "keyed",
    "told",
    "contents",
    "file",
    "handles",
    "structs",
    "full",
];

#[test]
fn no_compiler_warns() {
    let folder = tempfile::tempdir().unwrap();
    let object = folder.path().join("object.o");
    let languages = ["c99", "c11", "c++11", "c++17"];
    for language in languages.iter().filter(|language| has(if language.contains('+') { "c++" } else { "cc" }))
    {
        for name in PROGRAMS {
            run(compiler(language).arg("-c").arg(source(name)).arg("-o").arg(&object));
        }
    }
}

#[test]
fn a_program_that_links_sqlite() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let story = program(folder.path(), &libraries, "story", &[]);
    in_both_modes(|| Command::new(&story), &["process"]);
    in_both_modes(|| Command::new(&story), &["table"]);
    let hostile = program(folder.path(), &libraries, "hostile", &[]);
    in_both_modes(|| Command::new(&hostile), &[]);
}

/// The README's programs, as they stand there, beside a database of the name that they use.
#[test]
fn the_programs_of_the_readme() {
    let Some(libraries) = libraries() else { return };
    if !(has("sqlite3") && has("c++")) {
        return;
    }
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    for (fence, language) in [("```c\n", "c99"), ("```cpp\n", "c++17")] {
        let (_, rest) = readme.split_once(fence).expect("README.md shows a program in this language");
        let (text, _) = rest.split_once("```").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (source, program) = (folder.path().join("app.c"), folder.path().join("app"));
        std::fs::write(&source, text).unwrap();
        let search = libraries.display();
        let mut command = compiler(language);
        command.arg(&source).args(["-x", "none", "-o"]).arg(&program).arg(format!("-L{search}"));
        run(command.args(["-ldbrewind", "-lsqlite3"]).arg(format!("-Wl,-rpath,{search}")));
        run(Command::new("sqlite3").arg(folder.path().join("app.db")).arg("CREATE TABLE t (x)"));
        let out = run(Command::new(&program).current_dir(&folder));
        assert_eq!(String::from_utf8_lossy(&out.stderr), "", "{language}");
        std::fs::remove_file(folder.path().join("app.db")).unwrap();
        let out = Command::new(&program).current_dir(&folder).output().unwrap();
        let said = String::from_utf8_lossy(&out.stderr);
        assert!(said.contains("[DBR012]"), "{language}: {said}");
    }
}

/// Its content is its own, and no SQLite is asked for anything.
#[test]
fn a_program_with_an_engine_of_its_own() {
    for name in ["volume", "keyed", "told", "contents", "file"] {
        is_right(name);
    }
}

/// Both kinds of handles, and all that is promised of them in `rust/docs/c-abi.md`.
#[test]
fn promises_to_callers_who_are_wrong() {
    for name in ["handles", "structs"] {
        is_right(name);
    }
}

/// A store at its limit, and what cures it.
#[test]
fn a_store_that_is_full() {
    is_right("full");
}

/// Runs a program by itself, with sanitizers, and under valgrind.
fn is_right(name: &str) {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let right = |mut command: Command| {
        let folder = tempfile::tempdir().unwrap();
        let out = run(command.arg(folder.path()));
        assert_eq!(String::from_utf8_lossy(&out.stdout), "right\n");
    };
    let plain = program(folder.path(), &libraries, name, &[]);
    right(Command::new(&plain));
    if has("valgrind") {
        right(under_valgrind(&plain));
    }
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    right(Command::new(program(folder.path(), &libraries, name, &flags)));
}

/// Berkeley DB, an embedded store that is not ours, hooked where it writes.
#[test]
fn a_store_that_knows_nothing_of_us() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut ask = Command::new("sh");
    ask.args(["-c", "echo '#include <db.h>' | cc -E - >/dev/null 2>&1"]);
    if !here(ask.status().is_ok_and(|status| status.success()), "db.h of Berkeley DB (libdb-dev)") {
        return;
    }
    let program = folder.path().join("berkeley");
    let mut command = compiler("c11");
    command.arg(source("berkeley")).arg("-o").arg(&program).arg(libraries.join("libdbrewind.a"));
    run(command.args(["-ldb", "-lpthread", "-ldl", "-lm", "-lgcc_s"]));
    let out = run(Command::new(program).arg(folder.path()));
    assert_eq!(String::from_utf8_lossy(&out.stdout), "right\n");
}

/// The engines of the examples, with the static library alone.
#[test]
fn the_examples_of_engines_in_memory() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let examples = [
        ("table", "seeded: 3 apples, 5 pears, 0 quinces\nundone: 103 apples, 5 pears, 1 quinces\n"),
        (
            "words",
            "changed: 0 apple, 2 orange, 6 pear, 9 date\nseeded: 3 apple, 2 orange, 5 pear, 0 date\n\
             undone: 0 apple, 2 orange, 6 pear, 9 date\n",
        ),
    ];
    for (name, expected) in examples {
        let program = folder.path().join(name);
        let source = root().join("bindings/examples").join(name).with_extension("c");
        for language in ["c99", "c++17"] {
            let mut command = compiler(language);
            command.arg(&source).args(["-x", "none", "-o"]).arg(&program);
            command.arg(libraries.join("libdbrewind.a")).args(["-lpthread", "-ldl", "-lm", "-lgcc_s"]);
            run(&mut command);
            for _ in 0..2 {
                let out = run(Command::new(&program).arg(folder.path().join("history")));
                assert_eq!(String::from_utf8_lossy(&out.stdout), expected);
            }
        }
    }
}

#[test]
fn a_program_with_a_keeper() {
    let Some(libraries) = libraries() else { return };
    let keeper = built().join("dbrewind-keeper");
    if !here(keeper.exists(), "the keeper's program") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = program(folder.path(), &libraries, "keeper", &[]);
    let out = run(Command::new(program).arg(folder.path()).arg("wal").arg(keeper));
    assert_eq!(String::from_utf8_lossy(&out.stdout), "right\n");
}

/// Its SQLite is compiled in, and nobody can look its functions up.
#[test]
fn a_program_that_contains_sqlite() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("story");
    let mut command = compiler("c99");
    command.arg(source("story")).arg("-o").arg(&out).arg(libraries.join("libdbrewind.a")).arg(amalgamation());
    run(command.args(["-lpthread", "-ldl", "-lm", "-lgcc_s"]));
    in_both_modes(|| Command::new(&out), &["table"]);

    let refused = Command::new(&out).arg(folder.path()).args(["wal", "process"]).output().unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("[DBR002]"), "{said}");
    assert!(said.contains("dbrewind_sqlite_fill()"), "{said}");
}

/// The archive of SQLite that this workspace's tests are linked with.
fn amalgamation() -> PathBuf {
    let folders = std::fs::read_dir(built().join("build")).unwrap();
    let archives = folders.map(|folder| folder.unwrap().path().join("out/libsqlite3.a"));
    archives.filter(|archive| archive.exists()).max().expect("libsqlite3-sys is compiled for the workspace")
}

#[test]
fn an_extension_of_sqlite() {
    let Some(libraries) = libraries() else { return };
    if !has("sqlite3") {
        return;
    }
    // What a connection attaches it opens with the VFS that it was opened with itself, unless another one is named.
    for (mode, vfs) in [("wal", ""), ("delete", "?vfs=dbrewind")] {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("records.so");
        let mut command = compiler("c99");
        command.args(["-shared", "-fPIC"]).arg(source("extension")).arg("-o").arg(&library);
        run(command.arg(libraries.join("libdbrewind.a")).args(["-lpthread", "-ldl", "-lm", "-lgcc_s"]));
        let database = folder.path().join("app.db");
        let sql = [
            format!("PRAGMA journal_mode={mode}; CREATE TABLE t (x); INSERT INTO t VALUES (1);"),
            ".open :memory:".to_owned(),
            format!(".load {}", library.with_extension("").display()),
            format!("SELECT record('{}');", database.display()),
            format!("ATTACH 'file:{}{vfs}' AS app; SELECT mark('one');", database.display()),
            "DELETE FROM app.t; SELECT back('one'); SELECT 'rows', count(*) FROM app.t;".to_owned(),
        ];
        let mut shell = Command::new("sh");
        let script = "printf '%s\\n' \"$2\" | sqlite3 -bail \"$1\"";
        let out = run(shell.args(["-c", script, "sh"]).arg(&database).arg(sql.join("\n")));
        let said = String::from_utf8_lossy(&out.stdout);
        assert!(said.ends_with("rows|1\n"), "{mode}: {said}{}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
fn under_address_sanitizer() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let story = program(folder.path(), &libraries, "story", &flags);
    in_both_modes(|| Command::new(&story), &["table"]);
    let hostile = program(folder.path(), &libraries, "hostile", &flags);
    in_both_modes(|| Command::new(&hostile), &[]);
}

#[test]
fn sqlite_under_valgrind() {
    let Some(libraries) = libraries() else { return };
    if !has("valgrind") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let story = program(folder.path(), &libraries, "story", &[]);
    in_both_modes(|| under_valgrind(&story), &["table"]);
    let hostile = program(folder.path(), &libraries, "hostile", &[]);
    in_both_modes(|| under_valgrind(&hostile), &[]);
}
