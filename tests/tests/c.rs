//! The C interface, as C programs meet it (`tests/capi`): compiled without a warning as C99, C11 and C++17, and run on real
//! databases with the shared library, with the static one and a SQLite compiled in, and from an extension of SQLite; under
//! valgrind and `AddressSanitizer`.
//!
//! `make capi-test` makes the libraries first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAMS: [&str; 6] = ["story", "hostile", "keeper", "extension", "alone", "volume"];
const STRICT: [&str; 5] = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-g"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// `target/debug`.
fn built() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.parent().unwrap().parent().unwrap().to_owned()
}

/// The folder of the two libraries. `None`: skip.
fn libraries() -> Option<PathBuf> {
    let folder = built().join("capi");
    here(folder.join("libdbrewind.a").exists(), "the C library (make capi-test)").then_some(folder)
}

/// Whether something is there; where all must be, it has to.
fn here(there: bool, what: &str) -> bool {
    if !there {
        assert!(std::env::var_os("CI").is_none(), "{what} is missing");
        eprintln!("SKIPPED: {what} is missing");
    }
    there
}

fn has(tool: &str) -> bool {
    here(Command::new(tool).arg("--version").output().is_ok_and(|out| out.status.success()), tool)
}

fn run(command: &mut Command) -> Output {
    let out = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (said, wrong) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{command:?}: {}\n{said}\n{wrong}", out.status);
    out
}

fn compiler(language: &str) -> Command {
    let mut command = Command::new(if language.starts_with("c++") { "c++" } else { "cc" });
    command.arg(format!("-std={language}")).args(STRICT);
    if language.starts_with("c++") {
        command.args(["-x", "c++"]);
    }
    command.arg("-I").arg(root().join("include"));
    command
}

fn source(name: &str) -> PathBuf {
    root().join("tests/capi").join(name).with_extension("c")
}

/// Compiles a program with the shared library and the system's SQLite.
fn program(folder: &Path, libraries: &Path, name: &str, more: &[&str]) -> PathBuf {
    let out = folder.join(name);
    let search = libraries.display();
    let mut command = compiler("c11");
    command.args(more).arg(source(name)).arg("-o").arg(&out).arg(format!("-L{search}"));
    run(command.args(["-ldbrewind", "-lsqlite3", "-lpthread"]).arg(format!("-Wl,-rpath,{search}")));
    out
}

/// The same for the program in C++.
fn cpp_program(folder: &Path, libraries: &Path, more: &[&str]) -> PathBuf {
    let out = folder.join("story_cpp");
    let search = libraries.display();
    let mut command = compiler("c++17");
    command.args(more).arg(root().join("tests/cpp/story.cpp")).args(["-x", "none", "-o"]).arg(&out);
    command.arg(format!("-L{search}")).args(["-ldbrewind", "-lsqlite3", "-lpthread"]);
    run(command.arg(format!("-Wl,-rpath,{search}")));
    out
}

/// Runs a program in each journal mode, each time in a new folder.
fn in_both_modes(command: impl Fn() -> Command, more: &[&str]) {
    for mode in ["wal", "delete"] {
        let folder = tempfile::tempdir().unwrap();
        let out = run(command().arg(folder.path()).arg(mode).args(more));
        assert_eq!(String::from_utf8_lossy(&out.stdout), "right\n", "{mode}");
    }
}

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

#[test]
fn a_program_in_cpp() {
    let Some(libraries) = libraries() else { return };
    if !has("c++") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let story = cpp_program(folder.path(), &libraries, &[]);
    in_both_modes(|| Command::new(&story), &[]);
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let story = cpp_program(folder.path(), &libraries, &flags);
    in_both_modes(|| Command::new(&story), &[]);
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

/// Its content is its own, and no SQLite is asked for anything: by itself, with sanitizers, and under valgrind.
#[test]
fn a_program_with_an_engine_of_its_own() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let right = |mut command: Command| {
        let folder = tempfile::tempdir().unwrap();
        let out = run(command.arg(folder.path()));
        assert_eq!(String::from_utf8_lossy(&out.stdout), "right\n");
    };
    let volume = program(folder.path(), &libraries, "volume", &[]);
    right(Command::new(&volume));
    if has("valgrind") {
        let mut command = Command::new("valgrind");
        command.args([
            "--quiet",
            "--error-exitcode=9",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
        ]);
        command.arg("--fair-sched=yes").arg(&volume);
        right(command);
    }
    let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    right(Command::new(program(folder.path(), &libraries, "volume", &flags)));
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

/// The table of the examples, with the static library alone.
#[test]
fn the_example_of_an_engine_in_memory() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("table");
    for language in ["c99", "c++17"] {
        let mut command = compiler(language);
        command.arg(root().join("bindings/examples/table.c")).args(["-x", "none", "-o"]).arg(&table);
        command.arg(libraries.join("libdbrewind.a")).args(["-lpthread", "-ldl", "-lm", "-lgcc_s"]);
        run(&mut command);
        for _ in 0..2 {
            let out = run(Command::new(&table).arg(folder.path().join("history")));
            let said = String::from_utf8_lossy(&out.stdout).into_owned();
            let expected = "seeded: 3 apples, 5 pears, 0 quinces\nundone: 103 apples, 5 pears, 1 quinces\n";
            assert_eq!(said, expected);
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

/// Built outside of the tree from what `make install` leaves, by each of the two ways to find it.
#[test]
fn a_project_that_finds_the_installed_library() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (prefix, project) = (folder.path().join("prefix"), folder.path().join("project"));
    run(Command::new(root().join("rust/capi/install")).arg(&libraries).arg(&prefix));
    std::fs::create_dir(&project).unwrap();
    for file in ["reset.c", "CMakeLists.txt"] {
        std::fs::copy(root().join("bindings/examples").join(file), project.join(file)).unwrap();
    }
    let database = project.join("app.db");
    run(Command::new("sqlite3").arg(&database).arg("CREATE TABLE t (x)"));
    let works = |program: PathBuf| {
        let mut command = Command::new(program);
        let out = run(command.arg(&database).env("LD_LIBRARY_PATH", prefix.join("lib")));
        assert!(String::from_utf8_lossy(&out.stdout).contains(" pages, "));
        let tables = run(Command::new("sqlite3").arg(&database).arg(".tables"));
        assert_eq!(String::from_utf8_lossy(&tables.stdout).trim(), "t");
    };
    if has("pkg-config") {
        let mut ask = Command::new("pkg-config");
        ask.env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
        let flags = run(ask.args(["--cflags", "--libs", "dbrewind >= 0.1", "sqlite3"]));
        let flags = String::from_utf8(flags.stdout).unwrap();
        let mut command = Command::new("cc");
        command.arg(project.join("reset.c")).args(flags.split_whitespace()).arg("-o");
        run(command.arg(project.join("by_pkg_config")));
        works(project.join("by_pkg_config"));
    }
    if has("cmake") {
        let build = project.join("build");
        let mut command = Command::new("cmake");
        command.arg("-S").arg(&project).arg("-B").arg(&build);
        run(command.arg(format!("-DCMAKE_PREFIX_PATH={}", prefix.display())));
        run(Command::new("cmake").arg("--build").arg(&build));
        works(build.join("reset"));
        works(build.join("reset_static"));
    }
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
fn under_valgrind() {
    let Some(libraries) = libraries() else { return };
    if !has("valgrind") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let valgrind = |program: &Path| {
        let mut command = Command::new("valgrind");
        command.args([
            "--quiet",
            "--error-exitcode=9",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite",
        ]);
        command.arg("--fair-sched=yes").arg(program);
        command
    };
    let story = program(folder.path(), &libraries, "story", &[]);
    in_both_modes(|| valgrind(&story), &["table"]);
    let hostile = program(folder.path(), &libraries, "hostile", &[]);
    in_both_modes(|| valgrind(&hostile), &[]);
}

/// The functions that the header declares are the symbols of both libraries, all with a version, and there are no others.
#[test]
fn no_other_symbol_is_seen() {
    let Some(libraries) = libraries() else { return };
    let header = std::fs::read_to_string(root().join("include/dbrewind.h")).unwrap();
    let mut declared: Vec<String> = Vec::new();
    for line in
        header.lines().filter(|line| !line.starts_with([' ', '/', '#']) && !line.starts_with("static"))
    {
        if let Some((before, _)) = line.split_once('(')
            && let Some(name) = before.split([' ', '*']).next_back()
            && name.starts_with("dbrewind_")
        {
            declared.push(name.to_owned());
        }
    }
    declared.sort();
    assert!(declared.len() > 40, "{declared:?}");
    let symbols = |arguments: &[&str], file: &str| -> Vec<String> {
        let out = run(Command::new("nm").args(arguments).arg("--defined-only").arg(libraries.join(file)));
        let text = String::from_utf8(out.stdout).unwrap();
        let lines = text.lines().filter_map(|line| line.split_whitespace().nth(2).map(str::to_owned));
        let mut names: Vec<String> = lines.collect();
        names.sort();
        names
    };
    let mut versioned: Vec<String> = declared.iter().map(|name| format!("{name}@@DBREWIND_1")).collect();
    versioned.push("DBREWIND_1".to_owned());
    versioned.sort();
    assert_eq!(symbols(&["-D"], "libdbrewind.so"), versioned);
    assert_eq!(symbols(&["-g"], "libdbrewind.a"), declared);
    let sqlite = run(Command::new("nm").arg("-u").arg(libraries.join("libdbrewind.a")));
    assert!(!String::from_utf8_lossy(&sqlite.stdout).contains("sqlite3"), "it needs no SQLite to be linked");
}
