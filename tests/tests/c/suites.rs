//! Suites of `GoogleTest` and of Catch2 whose database is rewound after each test (`tests/cpp`), as their programs run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use crate::cpp::cpp_program;
use crate::toolchain::{built, here, libraries, root, run};

/// Whether the compiler finds a header.
fn finds(header: &str) -> bool {
    let script = format!("echo '#include <{header}>' | c++ -std=c++17 -E -x c++ - >/dev/null 2>&1");
    Command::new("sh").args(["-c", &script]).status().is_ok_and(|status| status.success())
}

pub(crate) fn has_gtest() -> bool {
    here(finds("gtest/gtest.h"), "GoogleTest (libgtest-dev)")
}

/// How Catch2 >= 3 is compiled and linked: the system's, or the sources that `.ci/prepare c` has fetched. `None`: skip.
fn catch2() -> Option<Vec<String>> {
    if finds("catch2/catch_test_macros.hpp") {
        return Some(vec!["-lCatch2Main".into(), "-lCatch2".into()]);
    }
    let fetched = root().join(".venv/catch2");
    let object = fetched_catch2(&fetched)?;
    Some(vec![format!("-isystem{}", fetched.join("include").display()), object.display().to_string()])
}

/// A prefix in which CMake finds Catch2: for what was fetched a package of its own, in `folder`. `None`: skip.
pub(crate) fn catch2_for_cmake(folder: &Path) -> Option<PathBuf> {
    if !finds("catch2/catch_test_macros.hpp") {
        let fetched = root().join(".venv/catch2");
        let (include, object) = (fetched.join("include"), fetched_catch2(&fetched)?);
        let targets = format!(
            "add_library(Catch2::Catch2 INTERFACE IMPORTED)\nadd_library(Catch2::Catch2WithMain INTERFACE IMPORTED)\n\
             set_target_properties(Catch2::Catch2 PROPERTIES INTERFACE_INCLUDE_DIRECTORIES \"{}\")\n\
             set_target_properties(Catch2::Catch2WithMain PROPERTIES INTERFACE_LINK_LIBRARIES \"Catch2::Catch2;{}\")\n",
            include.display(),
            object.display()
        );
        std::fs::create_dir(folder).unwrap();
        std::fs::write(folder.join("Catch2Config.cmake"), targets).unwrap();
        let version = "set(PACKAGE_VERSION 3.7.1)\nset(PACKAGE_VERSION_COMPATIBLE TRUE)\n";
        std::fs::write(folder.join("Catch2ConfigVersion.cmake"), version).unwrap();
    }
    Some(folder.to_owned())
}

/// Compiles its sources, once: it takes half a minute.
fn fetched_catch2(fetched: &Path) -> Option<PathBuf> {
    static DONE: OnceLock<PathBuf> = OnceLock::new();
    let source = fetched.join("catch_amalgamated.cpp");
    if !here(source.exists(), "Catch2 >= 3 (.ci/prepare c)") {
        return None;
    }
    let object = DONE.get_or_init(|| {
        let object = built().join("catch2.o");
        let newer = |than: &Path| {
            Some(object.metadata().ok()?.modified().ok()? > than.metadata().ok()?.modified().ok()?)
        };
        if newer(&source) != Some(true) {
            let half = built().join("catch2-half.o");
            run(Command::new("c++").args(["-std=c++17", "-O0", "-c"]).arg(&source).arg("-o").arg(&half));
            std::fs::rename(half, &object).unwrap();
        }
        object
    });
    Some(object.clone())
}

/// Runs a suite in a folder of its own, in a journal mode; `FAILS`: with a test that fails.
struct Suite {
    program: PathBuf,
    folder: tempfile::TempDir,
}

impl Suite {
    fn new(program: &Path) -> Self {
        Self { program: program.to_owned(), folder: tempfile::tempdir().unwrap() }
    }

    fn command(&self, mode: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).env("SUITE_JOURNAL", mode);
        for name in ["SUITE_FAILS", "DBREWIND_KEEP", "GTEST_SHARD_INDEX", "GTEST_TOTAL_SHARDS"] {
            command.env_remove(name);
        }
        command
    }

    /// With a test that fails, whose database is kept.
    fn failing(&self, mode: &str) -> String {
        let out = self.command(mode).env("SUITE_FAILS", "1").env("DBREWIND_KEEP", "failed").output().unwrap();
        assert!(!out.status.success());
        said(&out)
    }

    fn left(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What is in a database that was kept: the test had deleted all users but one.
    fn kept(&self, name: &str) {
        let path = self.folder.path().join(".dbrewind/failed").join(name);
        let count = "SELECT count(*) FROM users";
        let out = run(Command::new("sqlite3").arg(&path).arg(count));
        assert_eq!(String::from_utf8_lossy(&out.stdout), "1\n", "{name}");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().filter(is_database).count(), 1);
    }
}

fn is_database(entry: &std::io::Result<std::fs::DirEntry>) -> bool {
    entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "db")
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

#[test]
fn a_googletest_suite_with_a_database_of_its_own() {
    let Some(libraries) = libraries().filter(|_| has_gtest()) else { return };
    let folder = tempfile::tempdir().unwrap();
    for flags in [&["-lgtest_main", "-lgtest"][..], &["-fno-exceptions", "-lgtest_main", "-lgtest"]] {
        let suite = Suite::new(&cpp_program(folder.path(), &libraries, "with_gtest", flags));
        for mode in ["wal", "delete"] {
            let random = ["--gtest_shuffle", "--gtest_repeat=3"];
            run(suite.command(mode).args(["--gtest_filter=-*Forget*:*AfterThat"]).args(random));
            run(&mut suite.command(mode));
            assert!(suite.left().is_empty(), "{:?}", suite.left());
            let told = suite.failing(mode);
            assert!(told.contains("[  FAILED  ] 2 tests") && told.contains("[  PASSED  ] 6 tests"), "{told}");
            assert!(told.contains("not rewound: [DBR004]"), "{told}");
            assert!(
                told.contains("Users.MayFail: its database is kept in .dbrewind/failed/Users.MayFail.db"),
                "{told}"
            );
            suite.kept("Users.MayFail.db");
            std::fs::remove_dir_all(suite.folder.path().join(".dbrewind")).unwrap();
        }
        // Two shards at the same time, in one folder.
        let shards = ["0", "1"].map(|shard| {
            let mut command = suite.command("wal");
            command
                .envs([("GTEST_TOTAL_SHARDS", "2"), ("GTEST_SHARD_INDEX", shard)])
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        });
        for mut shard in shards {
            assert!(shard.wait().unwrap().success());
        }
        assert!(suite.left().is_empty(), "{:?}", suite.left());
    }
}

#[test]
fn googletest_suites_with_a_listener() {
    let Some(libraries) = libraries().filter(|_| has_gtest()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let suite = Suite::new(&cpp_program(folder.path(), &libraries, "with_listener", &["-lgtest"]));
    for mode in ["wal", "delete"] {
        run(&mut suite.command(mode));
        run(suite.command(mode).args(["--gtest_shuffle", "--gtest_repeat=5"]));
        let told = suite.failing(mode);
        assert!(told.contains("[  FAILED  ] 1 test") && !told.contains("left behind"), "{told}");
        assert!(told.contains("kept in .dbrewind/failed/Fixture.AndAgain.db"), "{told}");
    }
}

/// Without the rewinds these suites fail: the tests see each other's writes.
#[test]
fn catch2_sections_each_begin_with_the_same_database() {
    let Some(libraries) = libraries() else { return };
    let Some(catch2) = catch2() else { return };
    let folder = tempfile::tempdir().unwrap();
    let flags: Vec<&str> = catch2.iter().map(String::as_str).collect();
    let suite = Suite::new(&cpp_program(folder.path(), &libraries, "with_catch2", &flags));
    for mode in ["wal", "delete"] {
        run(suite.command(mode).args(["--order", "rand"]));
        let both = [(); 2].map(|()| suite.command(mode).stdout(Stdio::null()).spawn().unwrap());
        for mut one in both {
            assert!(one.wait().unwrap().success());
        }
        assert!(suite.left().is_empty(), "{:?}", suite.left());
        let told = suite.failing(mode);
        assert!(told.contains("3 passed | 1 failed"), "{told}");
        suite.kept("may_fail.db");
        std::fs::remove_dir_all(suite.folder.path().join(".dbrewind")).unwrap();
    }
}
