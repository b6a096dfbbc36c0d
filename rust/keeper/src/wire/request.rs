use std::path::PathBuf;

use dbrewind_sqlite::{
    Clock, Journal, Lsn, Moments, OpenOptions, Position, RewindOptions, Synchronous, Target, Timestamp,
};

use super::fields::{put_bytes, put_duration, put_option, put_path, put_u32, put_u64};
use super::{Fields, MAGIC, WireError};

/// What a request asks for; the kind of its frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Operation {
    Hello = 1,
    Open = 2,
    Mark = 3,
    Marks = 4,
    DropMark = 5,
    Rewind = 6,
    DirtySince = 7,
    Now = 8,
    Digest = 9,
    Drain = 10,
    Close = 11,
    Status = 13,
    CloneTo = 14,
    Diff = 15,
    PositionAt = 16,
    IsAt = 17,
    Writers = 18,
    RememberConnected = 19,
}

impl Operation {
    /// Every one, for those who try them all.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(crate) const ALL: [Self; 18] = [
        Self::Hello,
        Self::Open,
        Self::Mark,
        Self::Marks,
        Self::DropMark,
        Self::Rewind,
        Self::DirtySince,
        Self::Now,
        Self::Digest,
        Self::Drain,
        Self::Close,
        Self::Status,
        Self::CloneTo,
        Self::Diff,
        Self::PositionAt,
        Self::IsAt,
        Self::Writers,
        Self::RememberConnected,
    ];
}

/// One request.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Request {
    /// First of all. The magic comes before it.
    Hello {
        version: u32,
        pid: u32,
    },
    /// Once. Boxed: it is far larger than the others.
    Open {
        path: PathBuf,
        options: Box<OpenOptions>,
    },
    Mark {
        name: String,
        pinned: bool,
    },
    Marks,
    DropMark {
        name: String,
    },
    Rewind {
        to: Target,
        options: RewindOptions,
    },
    DirtySince {
        to: Target,
    },
    PositionAt {
        to: Target,
    },
    IsAt {
        position: Position,
        at_rest: bool,
    },
    Writers {
        since: Target,
    },
    RememberConnected {
        on: bool,
    },
    /// The path is absolute.
    CloneTo {
        to: Target,
        path: PathBuf,
    },
    /// `to`: `None` for the present moment.
    Diff {
        from: Target,
        to: Option<Target>,
    },
    Now,
    Digest,
    Drain,
    Close,
    Status,
}

impl Request {
    pub(crate) fn operation(&self) -> Operation {
        match self {
            Self::Hello { .. } => Operation::Hello,
            Self::Open { .. } => Operation::Open,
            Self::Mark { .. } => Operation::Mark,
            Self::Marks => Operation::Marks,
            Self::DropMark { .. } => Operation::DropMark,
            Self::Rewind { .. } => Operation::Rewind,
            Self::DirtySince { .. } => Operation::DirtySince,
            Self::PositionAt { .. } => Operation::PositionAt,
            Self::IsAt { .. } => Operation::IsAt,
            Self::Writers { .. } => Operation::Writers,
            Self::RememberConnected { .. } => Operation::RememberConnected,
            Self::CloneTo { .. } => Operation::CloneTo,
            Self::Diff { .. } => Operation::Diff,
            Self::Now => Operation::Now,
            Self::Digest => Operation::Digest,
            Self::Drain => Operation::Drain,
            Self::Close => Operation::Close,
            Self::Status => Operation::Status,
        }
    }

    /// Appends the payload.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello { version, pid } => {
                out.extend_from_slice(&MAGIC);
                put_u32(out, *version);
                put_u32(out, *pid);
            }
            Self::Open { path, options } => {
                put_path(out, path);
                put_options(out, options);
            }
            Self::Mark { name, pinned } => {
                put_bytes(out, name.as_bytes());
                out.push(u8::from(*pinned));
            }
            Self::DropMark { name } => put_bytes(out, name.as_bytes()),
            Self::Rewind { to, options: RewindOptions { timeout, use_earliest } } => {
                put_target(out, to);
                put_option(out, *timeout, put_duration);
                out.push(u8::from(*use_earliest));
            }
            Self::DirtySince { to } | Self::PositionAt { to } | Self::Writers { since: to } => {
                put_target(out, to)
            }
            Self::RememberConnected { on } => out.push(u8::from(*on)),
            Self::IsAt { position, at_rest } => {
                put_position(out, position);
                out.push(u8::from(*at_rest));
            }
            Self::CloneTo { to, path } => {
                put_target(out, to);
                put_path(out, path);
            }
            Self::Diff { from, to } => {
                put_target(out, from);
                put_option(out, to.as_ref(), put_target);
            }
            Self::Marks | Self::Now | Self::Digest | Self::Drain | Self::Close | Self::Status => {}
        }
    }

    /// Reads a frame's kind and payload.
    pub(crate) fn take(kind: u8, payload: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(payload);
        let request = match kind {
            1 => {
                let magic = fields.array::<8>()?;
                if magic != MAGIC {
                    return Err(WireError::Value { what: "the magic", found: u64::from_le_bytes(magic) });
                }
                Self::Hello { version: fields.u32()?, pid: fields.u32()? }
            }
            2 => Self::Open { path: fields.path()?, options: Box::new(take_options(&mut fields)?) },
            3 => Self::Mark { name: fields.text()?, pinned: fields.flag("whether to pin")? },
            4 => Self::Marks,
            5 => Self::DropMark { name: fields.text()? },
            6 => Self::Rewind {
                to: take_target(&mut fields)?,
                options: RewindOptions {
                    timeout: fields.option(Fields::duration)?,
                    use_earliest: fields.flag("whether the earliest moment will do")?,
                },
            },
            7 => Self::DirtySince { to: take_target(&mut fields)? },
            8 => Self::Now,
            9 => Self::Digest,
            10 => Self::Drain,
            11 => Self::Close,
            13 => Self::Status,
            14 => Self::CloneTo { to: take_target(&mut fields)?, path: fields.path()? },
            15 => Self::Diff { from: take_target(&mut fields)?, to: fields.option(take_target)? },
            16 => Self::PositionAt { to: take_target(&mut fields)? },
            17 => {
                Self::IsAt { position: take_position(&mut fields)?, at_rest: fields.flag("whether at rest")? }
            }
            18 => Self::Writers { since: take_target(&mut fields)? },
            19 => Self::RememberConnected { on: fields.flag("whether to remember")? },
            found => return Err(WireError::Value { what: "an operation", found: found.into() }),
        };
        fields.end()?;
        Ok(request)
    }
}

pub(super) fn put_position(out: &mut Vec<u8>, position: &Position) {
    put_u64(out, position.lsn.get());
    put_u64(out, position.mark_changes);
}

pub(super) fn take_position(fields: &mut Fields<'_>) -> Result<Position, WireError> {
    Ok(Position { lsn: Lsn::new(fields.u64()?), mark_changes: fields.u64()? })
}

fn put_target(out: &mut Vec<u8>, target: &Target) {
    match target {
        Target::Name(name) => {
            out.push(0);
            put_bytes(out, name.as_bytes());
        }
        Target::Lsn(lsn) => {
            out.push(1);
            put_u64(out, lsn.get());
        }
        Target::Time(time) => {
            out.push(2);
            put_u64(out, time.get());
        }
        Target::Ago(ago) => {
            out.push(3);
            put_duration(out, *ago);
        }
    }
}

fn take_target(fields: &mut Fields<'_>) -> Result<Target, WireError> {
    match fields.u8()? {
        0 => Ok(Target::Name(fields.text()?)),
        1 => Ok(Target::Lsn(Lsn::new(fields.u64()?))),
        2 => Ok(Target::Time(Timestamp::new(fields.u64()?))),
        3 => Ok(Target::Ago(fields.duration()?)),
        found => Err(WireError::Value { what: "a target", found: found.into() }),
    }
}

fn put_options(out: &mut Vec<u8>, options: &OpenOptions) {
    // Without `..`, so that a new option cannot be forgotten here. The VFS shim is never in the keeper, and its clock is
    // the system's.
    let OpenOptions {
        store,
        timeout,
        synchronous,
        default_vfs: _,
        journal,
        wal_limit,
        limit,
        window,
        seal,
        moments,
        clock: _,
    } = options;
    put_option(out, store.as_deref(), put_path);
    put_duration(out, *timeout);
    out.push(match synchronous {
        Synchronous::Off => 0,
        Synchronous::Normal => 1,
        Synchronous::Full => 2,
    });
    out.push(match journal {
        None => 0,
        Some(Journal::Wal) => 1,
        Some(Journal::Delete) => 2,
    });
    put_u64(out, *wal_limit);
    put_option(out, *limit, put_u64);
    put_option(out, *window, put_duration);
    out.push(u8::from(*seal));
    out.push(match moments {
        None => 0,
        Some(Moments::Marks) => 1,
        Some(Moments::Commits) => 2,
    });
}

fn take_options(fields: &mut Fields<'_>) -> Result<OpenOptions, WireError> {
    Ok(OpenOptions {
        store: fields.option(Fields::path)?,
        timeout: fields.duration()?,
        synchronous: match fields.u8()? {
            0 => Synchronous::Off,
            1 => Synchronous::Normal,
            2 => Synchronous::Full,
            found => return Err(WireError::Value { what: "synchronous", found: found.into() }),
        },
        default_vfs: false,
        journal: match fields.u8()? {
            0 => None,
            1 => Some(Journal::Wal),
            2 => Some(Journal::Delete),
            found => return Err(WireError::Value { what: "a journal mode", found: found.into() }),
        },
        wal_limit: fields.u64()?,
        limit: fields.option(Fields::u64)?,
        window: fields.option(Fields::duration)?,
        seal: fields.flag("whether to seal")?,
        moments: match fields.u8()? {
            0 => None,
            1 => Some(Moments::Marks),
            2 => Some(Moments::Commits),
            found => return Err(WireError::Value { what: "which moments", found: found.into() }),
        },
        clock: Clock::System,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn target() -> impl Strategy<Value = Target> {
        prop_oneof![
            any::<String>().prop_map(Target::Name),
            any::<u64>().prop_map(|l| Target::Lsn(Lsn::new(l))),
            any::<u64>().prop_map(|time| Target::Time(Timestamp::new(time))),
            any::<u64>().prop_map(|ago| Target::Ago(Duration::from_nanos(ago))),
        ]
    }

    fn request() -> impl Strategy<Value = Request> {
        let timeout = || proptest::option::of(any::<u64>().prop_map(Duration::from_nanos));
        let open = (any::<String>(), proptest::option::of(any::<String>()), any::<u64>(), 0..3, 0..3);
        let open = open.prop_map(|(path, store, number, synchronous, journal)| Request::Open {
            path: path.into(),
            options: Box::new(OpenOptions {
                store: store.map(PathBuf::from),
                timeout: Duration::from_nanos(number),
                synchronous: [Synchronous::Off, Synchronous::Normal, Synchronous::Full][synchronous as usize],
                default_vfs: false,
                journal: [None, Some(Journal::Wal), Some(Journal::Delete)][journal as usize],
                wal_limit: number,
                limit: (number % 2 == 0).then_some(!number),
                window: (number % 3 == 0).then_some(Duration::from_nanos(number)),
                seal: number % 3 == 0,
                moments: [None, Some(Moments::Marks), Some(Moments::Commits)][(number % 7 % 3) as usize],
                clock: Clock::System,
            }),
        });
        prop_oneof![
            (any::<u32>(), any::<u32>()).prop_map(|(version, pid)| Request::Hello { version, pid }),
            open,
            any::<(String, bool)>().prop_map(|(name, pinned)| Request::Mark { name, pinned }),
            any::<String>().prop_map(|name| Request::DropMark { name }),
            (target(), timeout(), any::<bool>()).prop_map(|(to, timeout, use_earliest)| Request::Rewind {
                to,
                options: RewindOptions { timeout, use_earliest },
            }),
            target().prop_map(|to| Request::DirtySince { to }),
            target().prop_map(|to| Request::PositionAt { to }),
            target().prop_map(|since| Request::Writers { since }),
            any::<bool>().prop_map(|on| Request::RememberConnected { on }),
            any::<(u64, u64, bool)>().prop_map(|(lsn, mark_changes, at_rest)| Request::IsAt {
                position: Position { lsn: Lsn::new(lsn), mark_changes },
                at_rest,
            }),
            (target(), any::<String>()).prop_map(|(to, path)| Request::CloneTo { to, path: path.into() }),
            (target(), proptest::option::of(target())).prop_map(|(from, to)| Request::Diff { from, to }),
            Just(Request::Marks),
            Just(Request::Now),
            Just(Request::Digest),
            Just(Request::Drain),
            Just(Request::Close),
            Just(Request::Status),
        ]
    }

    proptest! {
        #[test]
        fn requests_come_back(request in request()) {
            let mut out = Vec::new();
            request.put(&mut out);
            prop_assert_eq!(Request::take(request.operation() as u8, &out), Ok(request));
        }

        #[test]
        fn a_cut_request_is_refused(request in request(), cut in any::<proptest::sample::Index>()) {
            let mut out = Vec::new();
            request.put(&mut out);
            if !out.is_empty() {
                out.truncate(cut.index(out.len()));
                prop_assert!(Request::take(request.operation() as u8, &out).is_err());
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(kind in any::<u8>(), payload in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(request) = Request::take(kind, &payload) {
                let mut out = Vec::new();
                request.put(&mut out);
                prop_assert_eq!(out, payload);
            }
        }
    }
}
