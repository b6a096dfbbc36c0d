use std::path::PathBuf;

use dbrewind_sqlite::{
    Code, Diff, JournalMode, Lsn, Mark, MarkCounts, MarkName, MarkState, Method, Pin, Position, Process,
    Rewound, Status, Timestamp, WindowState, Writer,
};

use super::diff::{put_diff, take_diff};
use super::fields::{put_bytes, put_duration, put_option, put_path, put_u32, put_u64};
use super::request::{put_position, take_position};
use super::{Fields, Operation, WireError};
use crate::error::Refusal;

/// Bytes of a mark with an empty name.
const LEAST_MARK: usize = 30;
/// Bytes of a pin with an empty name.
const LEAST_PIN: usize = 28;
/// Bytes of a process with an empty name that holds nothing.
const LEAST_PROCESS: usize = 13;
/// Bytes of a writer whose program has no name, seen without a thread.
const LEAST_WRITER: usize = 19;
/// Bytes of an empty text.
const LEAST_TEXT: usize = 4;
/// Bytes of a field of a refusal with empty name and text.
const LEAST_FIELD: usize = 8;

/// What a request came to.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Reply {
    Welcome { version: u32, pid: u32, sqlite: u32 },
    Opened { path: PathBuf, store_path: PathBuf, journal: JournalMode },
    Mark(Mark),
    Marks(Vec<Mark>),
    Rewound(Rewound),
    Flag(bool),
    Position(Option<Position>),
    Lsn(Lsn),
    Digest([u8; 16]),
    Status(Status),
    Diff(Diff),
    Writers(Vec<Writer>),
    Done,
}

impl Reply {
    /// Appends the payload of a response that carries a result.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Welcome { version, pid, sqlite } => {
                for number in [version, pid, sqlite] {
                    put_u32(out, *number);
                }
            }
            Self::Opened { path, store_path, journal } => {
                put_path(out, path);
                put_path(out, store_path);
                out.push(match journal {
                    JournalMode::Wal => 0,
                    JournalMode::Rollback => 1,
                });
            }
            Self::Mark(mark) => put_mark(out, mark),
            Self::Marks(marks) => {
                put_u32(out, u32::try_from(marks.len()).unwrap_or(u32::MAX));
                for mark in marks {
                    put_mark(out, mark);
                }
            }
            Self::Rewound(rewound) => put_rewound(out, rewound),
            Self::Flag(flag) => out.push((*flag).into()),
            Self::Position(position) => put_option(out, position.as_ref(), put_position),
            Self::Lsn(lsn) => put_u64(out, lsn.get()),
            Self::Status(status) => put_status(out, status),
            Self::Diff(diff) => put_diff(out, diff),
            Self::Writers(writers) => {
                put_u32(out, u32::try_from(writers.len()).unwrap_or(u32::MAX));
                for writer in writers {
                    put_writer(out, writer);
                }
            }
            Self::Digest(digest) => out.extend_from_slice(digest),
            Self::Done => {}
        }
    }

    /// Reads the payload of a response that carries the result of this operation.
    pub(crate) fn take(operation: Operation, payload: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(payload);
        let reply = match operation {
            Operation::Hello => {
                Self::Welcome { version: fields.u32()?, pid: fields.u32()?, sqlite: fields.u32()? }
            }
            Operation::Open => Self::Opened {
                path: fields.path()?,
                store_path: fields.path()?,
                journal: match fields.u8()? {
                    0 => JournalMode::Wal,
                    1 => JournalMode::Rollback,
                    found => return Err(WireError::Value { what: "a journal mode", found: found.into() }),
                },
            },
            Operation::Mark => Self::Mark(take_mark(&mut fields)?),
            Operation::Marks => Self::Marks(fields.list(LEAST_MARK, take_mark)?),
            Operation::Rewind => Self::Rewound(take_rewound(&mut fields)?),
            Operation::PositionAt => Self::Position(fields.option(take_position)?),
            Operation::DirtySince | Operation::IsAt => Self::Flag(fields.flag("an answer")?),
            Operation::Now => Self::Lsn(Lsn::new(fields.u64()?)),
            Operation::Status => Self::Status(take_status(&mut fields)?),
            Operation::Diff => Self::Diff(take_diff(&mut fields)?),
            Operation::Digest => Self::Digest(fields.array()?),
            Operation::Writers => Self::Writers(fields.list(LEAST_WRITER, take_writer)?),
            Operation::DropMark
            | Operation::Drain
            | Operation::Close
            | Operation::CloneTo
            | Operation::RememberConnected => Self::Done,
        };
        fields.end()?;
        Ok(reply)
    }
}

impl Refusal {
    /// Appends the payload of a response that carries a refusal.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.code.number().to_le_bytes());
        put_bytes(out, self.text.as_bytes());
        put_u32(out, u32::try_from(self.fields.len()).unwrap_or(u32::MAX));
        for (name, text) in &self.fields {
            put_bytes(out, name.as_bytes());
            put_bytes(out, text.as_bytes());
        }
    }

    /// Reads it. A code that this version does not know becomes [`Code::Internal`]; the text still tells.
    pub(crate) fn take(payload: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(payload);
        let code = Code::from_number(fields.u16()?).unwrap_or(Code::Internal);
        let text = fields.text()?;
        let pairs = fields.list(LEAST_FIELD, |fields| Ok((fields.text()?, fields.text()?)))?;
        fields.end()?;
        Ok(Self { code, text, fields: pairs })
    }
}

fn put_mark(out: &mut Vec<u8>, mark: &Mark) {
    let Mark { name, lsn, time, pages, state, pinned } = mark;
    put_bytes(out, name.as_bytes());
    put_u64(out, lsn.get());
    put_u64(out, time.get());
    put_u64(out, *pages);
    out.push(match state {
        MarkState::Hot => 0,
        MarkState::Archived => 1,
        MarkState::Lost => 2,
        MarkState::Evicted => 3,
    });
    out.push(u8::from(*pinned));
}

fn take_mark(fields: &mut Fields<'_>) -> Result<Mark, WireError> {
    Ok(Mark {
        name: fields.text()?,
        lsn: Lsn::new(fields.u64()?),
        time: Timestamp::new(fields.u64()?),
        pages: fields.u64()?,
        state: match fields.u8()? {
            0 => MarkState::Hot,
            1 => MarkState::Archived,
            2 => MarkState::Lost,
            3 => MarkState::Evicted,
            found => return Err(WireError::Value { what: "the state of a mark", found: found.into() }),
        },
        pinned: fields.flag("whether a mark is pinned")?,
    })
}

fn put_writer(out: &mut Vec<u8>, writer: &Writer) {
    let Writer { pid, program, runs, thread, thread_runs, commits } = writer;
    put_u32(out, *pid);
    put_bytes(out, program.as_bytes());
    put_option(out, *runs, |out, runs| out.push(u8::from(runs)));
    put_option(out, *thread, put_u32);
    out.push(u8::from(*thread_runs));
    put_u64(out, *commits);
}

fn take_writer(fields: &mut Fields<'_>) -> Result<Writer, WireError> {
    Ok(Writer {
        pid: fields.u32()?,
        program: fields.text()?,
        runs: fields.option(|fields| fields.flag("whether a process runs"))?,
        thread: fields.option(Fields::u32)?,
        thread_runs: fields.flag("whether a thread runs")?,
        commits: fields.u64()?,
    })
}

fn put_status(out: &mut Vec<u8>, status: &Status) {
    let Status {
        state,
        used,
        raw,
        sealed,
        limit,
        target,
        window,
        earliest,
        forecast,
        pins,
        marks,
        waits_for,
    } = status;
    out.push(match state {
        WindowState::Ok => 0,
        WindowState::Alert => 1,
        WindowState::Full => 2,
        WindowState::Stopped => 3,
    });
    for number in [used, raw, sealed, limit] {
        put_u64(out, *number);
    }
    put_duration(out, *target);
    put_duration(out, *window);
    put_option(out, *earliest, |out, (lsn, time)| {
        put_u64(out, lsn.get());
        put_u64(out, time.get());
    });
    put_option(out, *forecast, put_duration);
    put_u32(out, u32::try_from(pins.len()).unwrap_or(u32::MAX));
    for Pin { name, lsn, time, bytes } in pins {
        put_bytes(out, name.as_str().as_bytes());
        for number in [lsn.get(), time.get(), *bytes] {
            put_u64(out, number);
        }
    }
    for number in [marks.hot, marks.archived, marks.evicted, marks.lost] {
        put_u64(out, number);
    }
    put_u32(out, u32::try_from(waits_for.len()).unwrap_or(u32::MAX));
    for Process { pid, name, stopped, holds } in waits_for {
        put_u32(out, *pid);
        put_bytes(out, name.as_bytes());
        out.push(u8::from(*stopped));
        put_u32(out, u32::try_from(holds.len()).unwrap_or(u32::MAX));
        for text in holds {
            put_bytes(out, text.as_bytes());
        }
    }
}

fn take_status(fields: &mut Fields<'_>) -> Result<Status, WireError> {
    let state = match fields.u8()? {
        0 => WindowState::Ok,
        1 => WindowState::Alert,
        2 => WindowState::Full,
        3 => WindowState::Stopped,
        found => return Err(WireError::Value { what: "the state of a window", found: found.into() }),
    };
    Ok(Status {
        state,
        used: fields.u64()?,
        raw: fields.u64()?,
        sealed: fields.u64()?,
        limit: fields.u64()?,
        target: fields.duration()?,
        window: fields.duration()?,
        earliest: fields.option(|fields| Ok((Lsn::new(fields.u64()?), Timestamp::new(fields.u64()?))))?,
        forecast: fields.option(Fields::duration)?,
        pins: fields.list(LEAST_PIN, take_pin)?,
        marks: MarkCounts {
            hot: fields.u64()?,
            archived: fields.u64()?,
            evicted: fields.u64()?,
            lost: fields.u64()?,
        },
        waits_for: fields.list(LEAST_PROCESS, take_process)?,
    })
}

fn take_process(fields: &mut Fields<'_>) -> Result<Process, WireError> {
    Ok(Process {
        pid: fields.u32()?,
        name: fields.text()?,
        stopped: fields.flag("whether a process was stopped")?,
        holds: fields.list(LEAST_TEXT, Fields::text)?,
    })
}

fn take_pin(fields: &mut Fields<'_>) -> Result<Pin, WireError> {
    Ok(Pin {
        name: MarkName::new(&fields.text()?)?,
        lsn: Lsn::new(fields.u64()?),
        time: Timestamp::new(fields.u64()?),
        bytes: fields.u64()?,
    })
}

fn put_rewound(out: &mut Vec<u8>, rewound: &Rewound) {
    // A client that wants to know where that has led asks.
    let Rewound { to, time, undo, pages, seconds, method, position: _ } = rewound;
    put_u64(out, to.get());
    put_u64(out, time.get());
    put_u64(out, undo.get());
    put_u64(out, *pages);
    out.extend_from_slice(&seconds.to_le_bytes());
    out.push(match method {
        Method::Moved => 0,
        Method::Written => 1,
        Method::Nothing => 2,
    });
}

fn take_rewound(fields: &mut Fields<'_>) -> Result<Rewound, WireError> {
    Ok(Rewound {
        to: Lsn::new(fields.u64()?),
        time: Timestamp::new(fields.u64()?),
        undo: Lsn::new(fields.u64()?),
        pages: fields.u64()?,
        seconds: fields.f64()?,
        method: match fields.u8()? {
            0 => Method::Moved,
            1 => Method::Written,
            2 => Method::Nothing,
            found => return Err(WireError::Value { what: "the method of a rewind", found: found.into() }),
        },
        position: None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn mark(name: &str) -> Mark {
        Mark {
            name: name.into(),
            lsn: Lsn::new(7),
            time: Timestamp::new(8),
            pages: 9,
            state: MarkState::Archived,
            pinned: true,
        }
    }

    fn process(name: &str, holds: &[&str]) -> Process {
        let holds = holds.iter().map(|text| (*text).to_owned()).collect();
        Process { pid: 4711, name: name.into(), stopped: true, holds }
    }

    fn writer(program: &str, thread: Option<u32>) -> Writer {
        let runs = thread.map(|_| true);
        Writer { pid: 4711, program: program.into(), runs, thread, thread_runs: true, commits: 5 }
    }

    fn status() -> Status {
        Status {
            state: WindowState::Alert,
            used: 10,
            raw: 6,
            sealed: 4,
            limit: 11,
            target: Duration::from_secs(12),
            window: Duration::from_nanos(13),
            earliest: Some((Lsn::new(14), Timestamp::new(15))),
            forecast: None,
            pins: vec![Pin {
                name: MarkName::new("p").unwrap(),
                lsn: Lsn::new(16),
                time: Timestamp::new(17),
                bytes: 18,
            }],
            marks: MarkCounts { hot: 1, archived: 2, evicted: 3, lost: 4 },
            waits_for: vec![
                process("", &[]),
                process("python3", &["seals a segment", "reads a past moment"]),
            ],
        }
    }

    #[test]
    fn replies_come_back() {
        let rewound = Rewound {
            to: Lsn::new(1),
            time: Timestamp::new(5),
            undo: Lsn::new(2),
            pages: 3,
            seconds: 0.25,
            method: Method::Written,
            position: None,
        };
        for (operation, reply) in [
            (Operation::Hello, Reply::Welcome { version: 1, pid: 2, sqlite: 3_050_000 }),
            (
                Operation::Open,
                Reply::Opened {
                    path: "/a".into(),
                    store_path: "/a-rewind".into(),
                    journal: JournalMode::Wal,
                },
            ),
            (Operation::Mark, Reply::Mark(mark("ä"))),
            (Operation::Marks, Reply::Marks(vec![mark(""), mark("b")])),
            (Operation::Rewind, Reply::Rewound(rewound)),
            (Operation::DirtySince, Reply::Flag(true)),
            (Operation::IsAt, Reply::Flag(false)),
            (Operation::PositionAt, Reply::Position(None)),
            (Operation::PositionAt, Reply::Position(Some(Position { lsn: Lsn::new(7), mark_changes: 8 }))),
            (Operation::Now, Reply::Lsn(Lsn::new(u64::MAX))),
            (Operation::Digest, Reply::Digest([5; 16])),
            (Operation::Status, Reply::Status(status())),
            (Operation::Writers, Reply::Writers(vec![writer("", None), writer("sh", Some(7))])),
            (Operation::RememberConnected, Reply::Done),
            (Operation::Close, Reply::Done),
        ] {
            let mut out = Vec::new();
            reply.put(&mut out);
            assert_eq!(Reply::take(operation, &out), Ok(reply));
        }
    }

    #[test]
    fn a_list_cannot_claim_more_than_came() {
        assert_eq!(Reply::take(Operation::Marks, &u32::MAX.to_le_bytes()), Err(WireError::Short));
    }

    #[test]
    fn the_shortest_items_are_as_long_as_said() {
        let mut out = Vec::new();
        put_mark(&mut out, &mark(""));
        assert_eq!(out.len(), LEAST_MARK);
        out.clear();
        put_writer(&mut out, &writer("", None));
        assert_eq!(out.len(), LEAST_WRITER);
        let length = |status: &Status| {
            let mut out = Vec::new();
            put_status(&mut out, status);
            out.len()
        };
        let none = Status { waits_for: Vec::new(), ..status() };
        let one = Status { waits_for: vec![process("", &[])], ..status() };
        assert_eq!(length(&one) - length(&none), LEAST_PROCESS);
    }

    #[test]
    fn an_unknown_code_keeps_its_text() {
        let mut out = Vec::new();
        Refusal { code: Code::Busy, text: "why".into(), fields: vec![("holder".into(), "7".into())] }
            .put(&mut out);
        out[0] = 0xff;
        let refusal = Refusal::take(&out).unwrap();
        assert_eq!((refusal.code, refusal.text.as_str()), (Code::Internal, "why"));
        assert_eq!(refusal.fields, [("holder".to_owned(), "7".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(which in 0..Operation::ALL.len(), payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Refusal::take(&payload);
            if let Ok(reply) = Reply::take(Operation::ALL[which], &payload) {
                let mut out = Vec::new();
                reply.put(&mut out);
                prop_assert_eq!(out, payload);
            }
        }
    }
}
