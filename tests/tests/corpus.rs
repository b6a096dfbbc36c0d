//! The fuzz targets over the committed corpus: what libFuzzer found once is tried again by every run, without it.

use std::path::Path;

use dbrewind_testkit::fuzz::{TARGETS, corpus, run};

fn replay(target: &str) {
    let inputs = corpus(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus"), target);
    assert!(inputs.len() >= 10, "the corpus of {target} is gone");
    for (path, data) in inputs {
        // The panic's own message does not say which input it was.
        let outcome = std::panic::catch_unwind(|| run(target, &data));
        assert!(outcome.is_ok(), "{}", path.display());
    }
}

#[test]
fn corpus_of_format() {
    replay("format");
}

#[test]
fn corpus_of_timeline() {
    replay("timeline");
}

#[test]
fn corpus_of_sqlite() {
    replay("sqlite");
}

#[test]
fn corpus_of_keeper() {
    replay("keeper");
}

#[test]
fn corpus_of_store() {
    replay("store");
}

#[test]
fn corpus_of_sealed() {
    replay("sealed");
}

#[test]
fn corpus_of_window() {
    replay("window");
}

#[test]
fn every_target_has_a_test_here_and_a_program_for_libfuzzer() {
    let here = include_str!("corpus.rs");
    for (target, _) in TARGETS {
        assert!(here.contains(&format!("fn corpus_of_{target}()")), "{target}");
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/targets/{target}.rs"));
        assert!(program.exists(), "{target}");
    }
}
