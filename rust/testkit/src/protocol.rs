//! What a test says to a peer, and what it answers: one JSON value per line between processes.

use serde::{Deserialize, Serialize};

use crate::image::Image;

/// Something a peer is asked to do. A peer has at most one connection, and at most one recording.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Request {
    /// Open a connection (and close the one before). Answer: done.
    Open {
        /// The database.
        path: String,
        /// The VFS by name; none: the default one.
        vfs: Option<String>,
        /// How long SQLite waits for locks, in milliseconds.
        busy: u32,
        /// Do not checkpoint when this connection turns out to be the last one to close.
        keep_wal: bool,
    },
    /// Run statements separated by semicolons. Answer: the rows of the last one, as texts.
    Sql {
        /// The statements.
        sql: String,
    },
    /// Run a query to its end, then again for one row, and leave it there: a half-read cursor.
    Cursor {
        /// The query.
        sql: String,
    },
    /// Read the cursor to its end and compare with the first run. Answer: error `stale` if they differ.
    EndCursor,
    /// Answer: the digest of all pages of the main database.
    Image {
        /// Where to leave the pages, if anywhere.
        dump: Option<String>,
    },
    /// Close the connection. Answer: done.
    Close,
    /// Start recording. Answer: done.
    Attach {
        /// The database.
        path: String,
        /// How.
        options: Recording,
    },
    /// Start recording, with `journal_mode=DELETE` set by the recording. Answer: done.
    LeaveWal {
        /// The database.
        path: String,
        /// How; whether to let `open` turn WAL on is not looked at.
        options: Recording,
    },
    /// Set a mark. Answer: its LSN.
    Mark {
        /// Its name.
        name: String,
        /// Keep it, and what it needs.
        pin: bool,
    },
    /// All marks. Answer: rows of name, LSN, pages, state.
    Marks,
    /// Drop a mark. Answer: done.
    DropMark {
        /// Its name.
        name: String,
    },
    /// Go to a mark or an LSN. Answer: what was done.
    Rewind {
        /// Where to.
        to: Goal,
        /// How long to wait for others, in milliseconds.
        timeout: u64,
    },
    /// The database as it was, beside the live one: through a connection, as a copy, and once more through connections
    /// that were opened so before. Answer: pages, or error `stale` if these differ.
    Past {
        /// Which moment.
        to: Goal,
        /// Where to leave the pages.
        dump: String,
    },
    /// Whether anything was written since. Answer: yes or no.
    Dirty {
        /// Since when.
        since: Goal,
    },
    /// The present LSN. Answer: an LSN.
    Now,
    /// The recording's own digest. Answer: a digest.
    Digest,
    /// Wait until everything is in the store. Answer: done.
    Drain,
    /// End the recording. Answer: done.
    Detach,
}

/// Where a rewind goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// A mark.
    Name(String),
    /// A moment.
    Lsn(u64),
    /// A time, in nanoseconds since 1970.
    Time(u64),
}

/// How to record.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Recording {
    /// Let `open` turn WAL on.
    pub wal: bool,
    /// Bytes of WAL after which the recording checkpoints; none: its default.
    pub wal_limit: Option<u64>,
    /// Bytes of store; none: its default.
    pub limit: Option<u64>,
    /// 0 off, 1 normal, 2 full.
    pub synchronous: u8,
    /// Keep each commit of a rollback mode, not only what is marked.
    pub commits: bool,
    /// The store's folder; none: beside the database.
    pub store: Option<String>,
    /// Bytes of the store's first segment and of its longest; none: the default.
    pub segments: Option<(u64, u64)>,
}

impl Recording {
    /// Without syncs, and with the limits that are the default.
    #[must_use]
    pub fn quick(wal: bool) -> Self {
        Self { wal, ..Self::default() }
    }
}

/// A peer's answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Answer {
    /// It was done, and there is nothing to tell.
    Done,
    /// Rows, each value as text; `NULL` for a null.
    Rows {
        /// The rows.
        rows: Vec<Vec<String>>,
    },
    /// All pages.
    Pages {
        /// Bytes per page.
        page_size: usize,
        /// How many.
        pages: usize,
        /// [`crate::image::Image::digest`].
        digest: String,
        /// The same without free pages.
        live: String,
        /// The schema cookie.
        cookie: u32,
    },
    /// A moment.
    Lsn {
        /// Its number.
        lsn: u64,
    },
    /// A digest, in hexadecimal.
    Digest {
        /// The digits.
        digest: String,
    },
    /// Yes or no.
    Flag {
        /// Which.
        yes: bool,
    },
    /// A rewind happened.
    Rewound {
        /// The LSN that the state belongs to.
        to: u64,
        /// Where a rewind back goes.
        undo: u64,
        /// Pages of the database.
        pages: u64,
        /// `moved`, `written` or `nothing`.
        method: String,
    },
    /// It failed.
    Failed {
        /// SQLite's extended result code in digits, a `DBRnnn`, `stale` or `peer`.
        code: String,
        /// The text.
        text: String,
    },
}

impl Image {
    /// What a peer tells of it.
    #[must_use]
    pub fn answer(&self) -> Answer {
        Answer::Pages {
            page_size: self.page_size,
            pages: self.pages(),
            digest: self.digest(),
            live: self.without_free_pages().digest(),
            cookie: self.cookie,
        }
    }
}

impl Answer {
    /// True for SQLite's `BUSY` and `LOCKED` families.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let Self::Failed { code, .. } = self else { return false };
        code.parse::<i32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6))
    }

    /// True for this `DBR` code.
    #[must_use]
    pub fn is_dbr(&self, number: u16) -> bool {
        matches!(self, Self::Failed { code, .. } if *code == format!("DBR{number:03}"))
    }

    /// The rows.
    ///
    /// # Panics
    /// When it is anything else.
    #[must_use]
    #[track_caller]
    pub fn rows(self) -> Vec<Vec<String>> {
        match self {
            Self::Rows { rows } => rows,
            other => panic!("rows expected, not {other:?}"),
        }
    }

    /// The first value of the first row.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn value(self) -> String {
        self.rows().into_iter().next().and_then(|row| row.into_iter().next()).expect("one value")
    }

    /// The answer, which must not be a failure.
    ///
    /// # Panics
    /// When it is one.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(!matches!(self, Self::Failed { .. }), "{self:?}");
        self
    }
}
