//! Projects outside of the tree, built from what an installation leaves.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::suites::{catch2_for_cmake, has_gtest};
use crate::toolchain::{has, libraries, root, run};

fn install(libraries: &Path, prefix: &Path) {
    run(Command::new(root().join("rust/capi/install")).arg(libraries).arg(prefix));
}

fn configure(project: &Path, prefixes: &[&Path]) -> Command {
    let mut command = Command::new("cmake");
    command.arg("-S").arg(project).arg("-B").arg(project.join("build"));
    let prefixes: Vec<_> = prefixes.iter().map(|prefix| prefix.display().to_string()).collect();
    command.arg(format!("-DCMAKE_PREFIX_PATH={}", prefixes.join(";")));
    command
}

/// Built outside of the tree from what `make install` leaves, by each of the two ways to find it.
#[test]
fn a_project_that_finds_the_installed_library() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (prefix, project) = (folder.path().join("prefix"), folder.path().join("project"));
    install(&libraries, &prefix);
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
        // As the README says for a prefix of one's own: told when it is linked, it needs nothing when it runs.
        let mut command = Command::new("cc");
        command.arg(project.join("reset.c")).args(flags.split_whitespace());
        command.arg(format!("-Wl,-rpath,{}/lib", prefix.display())).arg("-o");
        run(command.arg(project.join("by_rpath")));
        run(Command::new(project.join("by_rpath")).arg(&database).env_remove("LD_LIBRARY_PATH"));
    }
    if has("cmake") {
        let build = project.join("build");
        run(&mut configure(&project, &[&prefix]));
        run(Command::new("cmake").arg("--build").arg(&build));
        works(build.join("reset"));
        works(build.join("reset_static"));
    }
}

/// From a build of the library alone: what is left out is said, with what it would be for and how it is built.
#[test]
fn what_is_not_built_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (built, prefix) = (folder.path().join("built"), folder.path().join("prefix"));
    std::fs::create_dir(&built).unwrap();
    for library in ["libdbrewind.a", "libdbrewind.so.0"] {
        std::fs::write(built.join(library), "").unwrap();
    }
    let installed = || {
        let mut command = Command::new(root().join("rust/capi/install"));
        String::from_utf8(run(command.arg(&built).arg(&prefix)).stderr).unwrap()
    };
    let said = installed();
    for program in ["dbrewind-keeper", "dbrewind-conformance", "libdbrewind_preload.so", "dbrewind"] {
        assert!(said.contains(&format!("install: {program} is not in ")), "{program}: {said}");
    }
    assert!(said.contains("cargo build --release --package dbrewind-conformance"), "{said}");
    assert_eq!(said.lines().count(), 4, "{said}");
    std::fs::write(built.join("dbrewind-conformance"), "").unwrap();
    let said = installed();
    assert!(!said.contains("dbrewind-conformance"), "{said}");
    assert!(prefix.join("bin/dbrewind-conformance").exists());
}

/// The suites of the examples, by `find_package(dbrewind COMPONENTS gtest catch2)`, with their tests at the same time.
#[test]
fn suites_of_a_project_that_finds_the_installed_library() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let Some(catch2) = catch2_for_cmake(&folder.path().join("catch2")) else { return };
    if !(has("cmake") && has_gtest()) {
        return;
    }
    let (prefix, project) = (folder.path().join("prefix"), folder.path().join("project"));
    install(&libraries, &prefix);
    std::fs::create_dir(&project).unwrap();
    for file in std::fs::read_dir(root().join("bindings/examples/suite")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), project.join(file.file_name())).unwrap();
    }
    run(configure(&project, &[&prefix, &catch2]).arg(format!("-DCMAKE_BUILD_RPATH={}/lib", prefix.display())));
    run(Command::new("cmake").arg("--build").arg(project.join("build")).args(["--parallel", "2"]));
    let mut tests = Command::new("ctest");
    let out = run(tests.arg("--test-dir").arg(project.join("build")).args(["-j", "8"]));
    let told = String::from_utf8_lossy(&out.stdout);
    assert!(told.contains("100% tests passed, 0 tests failed out of 3"), "{told}");
    // What is not there is named.
    let project = folder.path().join("other");
    std::fs::create_dir(&project).unwrap();
    let text = "cmake_minimum_required(VERSION 3.20)\nproject(x CXX)\nfind_package(dbrewind CONFIG REQUIRED COMPONENTS doctest)\n";
    std::fs::write(project.join("CMakeLists.txt"), text).unwrap();
    let refused = configure(&project, &[&prefix]).output().unwrap();
    let told = String::from_utf8_lossy(&refused.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("no component doctest; there are gtest and catch2"), "{told}");
}

/// What `cargo cinstall` installs by the metadata of `rust/capi/Cargo.toml` are the headers that `make install` installs, and the
/// library and its package have the same names.
#[test]
fn cargo_c_installs_the_same_headers() {
    let mut ask = Command::new(env!("CARGO"));
    ask.args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"]);
    let out = run(ask.arg(root().join("rust/capi/Cargo.toml")));
    let all: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let crates = all["packages"].as_array().unwrap();
    let capi = &crates.iter().find(|one| one["name"] == "dbrewind-capi").unwrap()["metadata"]["capi"];
    assert_eq!(
        (&capi["library"]["name"], &capi["pkg_config"]["filename"]),
        (&"dbrewind".into(), &"dbrewind".into())
    );
    assert_eq!(capi["header"]["generation"], false, "the committed header is the one");
    let mut named = BTreeSet::new();
    for asset in capi["install"]["include"]["asset"].as_array().unwrap() {
        let (from, to) =
            (Path::new(asset["from"].as_str().unwrap()), Path::new(asset["to"].as_str().unwrap()));
        let folder = root().join("rust/capi").join(from.parent().unwrap());
        let ending = from.file_name().unwrap().to_str().unwrap().strip_prefix('*');
        let mut found = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let meant = ending.map_or(from.ends_with(&name), |ending| name.ends_with(ending));
            found += usize::from(meant && named.insert(to.join(name)));
        }
        assert!(found > 0, "{asset} names nothing");
    }
    let installed = tempfile::tempdir().unwrap();
    let Some(libraries) = libraries() else { return };
    install(&libraries, installed.path());
    assert_eq!(named, files_below(&installed.path().join("include"), Path::new("")));
}

fn files_below(folder: &Path, name: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = name.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            files.append(&mut files_below(&entry.path(), &name));
        } else {
            files.insert(name);
        }
    }
    files
}
