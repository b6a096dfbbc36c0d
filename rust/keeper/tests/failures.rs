//! Commands that are no keeper, and keepers that fail before a database is open.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

use dbrewind_keeper::{Error, Failure, KeeperClient, KeeperCommand, Refusal};
use dbrewind_sqlite::{Code, Database, OpenOptions, SqliteApi};

fn shell(script: &str) -> KeeperCommand {
    KeeperCommand::new("sh").arg("-c").arg(script)
}

fn failure(command: &KeeperCommand) -> (Failure, String) {
    let error = KeeperClient::open(command, "x.db".as_ref(), &OpenOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::KeeperFailed, "{error}");
    let text = error.to_string();
    match error {
        Error::Failed(failure) => (failure, text),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_command_that_does_not_exist_is_named() {
    let (failure, text) = failure(&KeeperCommand::new("/nowhere/keeper").arg("-x"));
    assert!(matches!(failure, Failure::NotStarted { .. }));
    assert!(text.contains("/nowhere/keeper -x"), "{text}");
}

#[test]
fn the_last_words_are_quoted() {
    let script =
        "i=0; while [ $i -lt 1000 ]; do echo filler >&2; i=$((i+1)); done; echo no module >&2; exit 3";
    let (failure, text) = failure(&shell(script));
    let Failure::Ended { status, words, .. } = failure else { panic!("{text}") };
    assert_eq!(status, "exit status 3");
    assert!(words.ends_with("filler / no module") && words.len() < 3000, "{words}");
}

#[test]
fn a_signal_is_named() {
    let (failure, text) = failure(&shell("kill -9 $$"));
    assert!(matches!(failure, Failure::Ended { ref status, .. } if status == "signal 9"), "{text}");
}

#[test]
fn a_program_that_prints_something_is_no_keeper() {
    let (failure, text) = failure(&shell("echo Welcome to this program; cat > /dev/null"));
    assert!(matches!(failure, Failure::Garbled { .. }), "{text}");
    assert!(text.contains("Welcome to this"), "{text}");
}

#[test]
fn another_version_is_named() {
    // Length 21, id 1, done, version 9, pid, SQLite's version.
    let answer = r"\025\0\0\0\001\0\0\0\0\0\0\0\0\011\0\0\0\0\0\0\0\0\0\0\0";
    let (failure, text) = failure(&shell(&format!("printf '{answer}'; cat > /dev/null")));
    assert!(matches!(failure, Failure::Version { theirs: 9, ours: 3 }), "{text}");
}

#[test]
fn an_error_is_the_same_as_inside_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let keeper = KeeperCommand::new(env!("CARGO_BIN_EXE_dbrewind-keeper"));
    let missing = folder.path().join("missing.db");
    let text = folder.path().join("text.db");
    std::fs::write(&text, [b'x'; 4096]).unwrap();
    for path in [missing, text] {
        let options = OpenOptions::default();
        let inside = Database::open(SqliteApi::bundled(), &path, &options).unwrap_err();
        let outside = KeeperClient::open(&keeper, &path, &options).unwrap_err();
        assert!(matches!(outside, Error::Refused(Refusal { .. })), "{outside:?}");
        assert_eq!((outside.code(), outside.to_string()), (inside.code(), inside.to_string()));
    }
}

#[test]
fn a_rollback_mode_that_shall_stay_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let mut head = b"SQLite format 3\0\x10\0\x01\x01".to_vec();
    head.resize(4096, 0);
    std::fs::write(&path, head).unwrap();
    let keeper = KeeperCommand::new(env!("CARGO_BIN_EXE_dbrewind-keeper"));
    let options = OpenOptions { journal: None, ..OpenOptions::default() };
    let error = KeeperClient::open(&keeper, &path, &options).unwrap_err();
    assert_eq!(error.code(), Code::Unreachable);
    for way in
        ["journal=\"wal\"", "a shared library", "load dbrewind's extension into the SQLite that writes"]
    {
        assert!(error.to_string().contains(way), "{error}");
    }
}

#[test]
fn no_process_is_left_behind() {
    let keeper = KeeperCommand::new(env!("CARGO_BIN_EXE_dbrewind-keeper"));
    let children = || {
        let mine = format!("/proc/self/task/{}/children", std::process::id());
        std::fs::read_to_string(mine).unwrap_or_default().split_whitespace().count()
    };
    // Other tests of this file have children for a moment, so only an increase by all ten counts.
    let before = children();
    for _ in 0..10 {
        KeeperClient::open(&keeper, "/nowhere/x.db".as_ref(), &OpenOptions::default()).unwrap_err();
    }
    assert!(children() < before + 10);
}
