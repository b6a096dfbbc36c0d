//! A recorded database and a connection to it, each with a thread of its own: where the tests of hazards begin.
#![allow(dead_code, clippy::unwrap_used, reason = "functions of tests; no test file uses all of them")]

use std::path::{Path, PathBuf};

use dbrewind_testkit::peer::Peer;
use dbrewind_testkit::protocol::{Answer, Recording, Request};
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_crash");

pub(crate) struct Scene {
    pub(crate) recorder: Peer,
    pub(crate) app: Peer,
    pub(crate) path: PathBuf,
    /// How long a rewind waits, in milliseconds.
    pub(crate) patience: u64,
    _folder: TempDir,
}

impl Scene {
    /// A database with one row in this journal mode, recorded, and a connection that was opened afterwards.
    pub(crate) fn new(journal: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        let mut app = Peer::thread("application");
        app.open(&path, 200);
        app.must(&format!("pragma journal_mode={journal}"));
        app.must("create table t(id integer primary key, v); insert into t(v) values('first')");
        app.ask(Request::Close).ok();
        let recorder = Peer::thread("recorder");
        let mut scene = Self { recorder, app, path, patience: 2000, _folder: folder };
        scene.attach(journal == "wal").ok();
        scene.connect(journal);
        scene
    }

    pub(crate) fn attach(&mut self, wal: bool) -> Answer {
        self.recorder.attach(&self.path, Recording::quick(wal))
    }

    pub(crate) fn connect(&mut self, journal: &str) {
        self.app.open(&self.path, 200);
        if journal != "wal" {
            self.app.must(&format!("pragma journal_mode={journal}"));
        }
    }

    pub(crate) fn mark(&mut self, name: &str) -> Answer {
        self.recorder.mark(name)
    }

    pub(crate) fn rewind(&mut self, name: &str) -> Answer {
        self.recorder.rewind(name, self.patience)
    }

    /// A program without a recording.
    pub(crate) fn plain(&self) -> Peer {
        let mut peer = Peer::process("plain", Path::new(BINARY));
        peer.open(&self.path, 200);
        peer
    }
}

/// How many rows there are.
pub(crate) fn count(peer: &mut Peer) -> String {
    peer.sql("select count(*) from t").value()
}
