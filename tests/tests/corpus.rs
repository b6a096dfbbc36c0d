//! The fuzz targets over the committed corpus: what libFuzzer found once is tried again by every run, without it.
#![expect(clippy::expect_used, reason = "functions of a test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use dbrewind_testkit::fuzz::{DECODERS, TARGETS, corpus, run};

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
fn corpus_of_parts() {
    replay("parts");
}

#[test]
fn corpus_of_diff() {
    replay("diff");
}

#[test]
fn corpus_of_volume() {
    replay("volume");
}

#[test]
fn corpus_of_digests() {
    replay("digests");
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

/// How functions begin that make something of bytes.
const DECODE: [&str; 4] = ["fn decode(", "fn parse(", "fn apply(", "fn unpack("];
/// Texts that a caller hands over: no bytes of a store, of a process or of the kernel.
const NOT_FROM_OUTSIDE: [&str; 1] = ["core/src/types/time_text.rs"];

fn sources(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_decoder_has_a_target() {
    let rust = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rust");
    let listed: BTreeSet<&str> = DECODERS.iter().map(|(path, _)| *path).chain(NOT_FROM_OUTSIDE).collect();
    assert_eq!(listed.len(), DECODERS.len() + NOT_FROM_OUTSIDE.len(), "one is listed twice");
    for (path, target) in DECODERS {
        assert!(TARGETS.iter().any(|(name, _)| *name == target), "{path}: no target {target}");
    }
    for path in &listed {
        assert!(rust.join(path).is_file(), "{path} is gone");
    }
    let mut files = Vec::new();
    for part in ["core", "sqlite", "keeper", "volume"] {
        sources(&rust.join(part).join("src"), &mut files);
    }
    let mut decoding = 0;
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        let path = file.strip_prefix(&rust).expect("below it").to_str().expect("UTF-8");
        if DECODE.iter().any(|begin| text.contains(begin)) {
            decoding += 1;
            assert!(
                listed.contains(path),
                "{path} decodes, and no fuzz target is named for it: rust/testkit/src/fuzz/decoders.rs"
            );
        }
    }
    assert!(decoding >= 20, "only {decoding} were found");
}
