//! Parts of the texts: what helps depends on what is there.

use std::io;
use std::path::Path;
use std::time::Duration;

use dbrewind_core::{Pin, Room};

/// A limit below which programs that commit without a pause have filled stores (`rust/docs/window.md`, "In WAL mode").
const ANY_LOAD: u64 = 1 << 30;

/// Why it is full where no mark is pinned.
const UNPINNED: &str = ". No mark is pinned: more was committed at once, or without a pause, than there is room for, or \
                        something else keeps what is old (a reader of a past moment, a stopped process, another database \
                        in the same store)";

/// Which of the two bounds is the narrower one, and what to do.
pub(super) fn full(store: &Path, room: Room, pins: &[Pin]) -> String {
    let Room { used, limit, on_disk } = room;
    let store = store.display();
    let (found, help) = if used <= limit / 2 && used <= on_disk {
        (
            format!(
                "the store in {store} was full, and has room again: {used} bytes, and its limit is {limit}"
            ),
            "close every recording of it, open it again, and set new marks".to_owned(),
        )
    } else if limit.saturating_sub(used) <= on_disk {
        let twice = limit.max(used).saturating_mul(2);
        let (more, why) = if pins.is_empty() { (twice.max(ANY_LOAD), UNPINNED) } else { (twice, "") };
        (
            format!("the store in {store} has {used} bytes, and its limit is {limit}{why}"),
            format!("close it, open it again with a higher limit, such as limit={more}, and set new marks"),
        )
    } else {
        (
            format!("the disk of the store in {store} is full"),
            "free some of it, close the recording, open it again, and set new marks".to_owned(),
        )
    };
    let held = kept_by(pins);
    format!(
        "{found}.{held} What the application writes is no longer recorded, and earlier marks are lost; {help}"
    )
}

/// What is not done without room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Without {
    /// Nothing is recorded.
    Recording,
    /// Nothing is recorded, and so many bytes in the WAL have to be before anything else.
    Waiting(u64),
    /// The mark is not set.
    Mark,
    /// The database is not rewound, for which so many bytes of images would have to be recorded.
    Rewind(u64),
}

impl Without {
    /// What was refused, and what that means.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Recording | Self::Waiting(_) => {
                ("nothing is recorded", "What the application writes is not recorded")
            }
            Self::Mark => ("not marked", "The mark was not set, and nothing has changed"),
            Self::Rewind(_) => ("not rewound", "The rewind could not be recorded, and has changed nothing"),
        }
    }

    fn bytes(self) -> u64 {
        match self {
            Self::Waiting(bytes) | Self::Rewind(bytes) => bytes,
            Self::Recording | Self::Mark => 0,
        }
    }
}

/// Bytes below which what is left is taken for nothing, if a limit is no smaller than eight times as many.
const HARDLY_ANY: u64 = 16 << 20;

/// The same where something is not done for that, and marks are what they were.
pub(super) fn no_room(store: &Path, room: Room, pins: &[Pin], without: Without) -> String {
    let Room { used, limit, on_disk } = room;
    let store = store.display();
    let (refused, means) = without.words();
    let free = limit.saturating_sub(used);
    let wanted = without.bytes().saturating_mul(2);
    if free.min(on_disk) > wanted.saturating_add(HARDLY_ANY.min(limit / 8)) {
        return format!(
            "{refused}: the store in {store} had no room just now, and has some again ({used} bytes, and its limit is \
             {limit}). {means}; try again"
        );
    }
    let (found, help) = if free <= on_disk {
        let more = limit.max(used).saturating_mul(2).max(used.saturating_add(wanted));
        (
            format!("the store in {store} has {used} bytes, and its limit is {limit}"),
            format!("close it and open it again with a higher limit, such as limit={more}"),
        )
    } else {
        (format!("the disk of the store in {store} is full"), "free some of it".to_owned())
    };
    let held = kept_by(pins);
    if let Without::Waiting(waiting) = without {
        // No pin that goes makes room before that is recorded.
        return format!(
            "nothing is recorded: {found}.{held} {waiting} bytes that were committed meanwhile are in the WAL and have to be recorded first, or else \
             earlier marks are lost with the next checkpoint; {help}: with room for that all marks stay"
        );
    }
    let images = match without {
        Without::Rewind(bytes) if bytes > 0 => {
            format!(" A rewind there has to record {bytes} bytes of images.")
        }
        _ => String::new(),
    };
    let drop = if pins.is_empty() { "" } else { "drop pinned marks that need not stay, or " };
    format!("{refused}: {found}.{images}{held} {means}; {drop}{help}")
}

/// A sentence about who keeps the store from having room.
fn kept_by(pins: &[Pin]) -> String {
    let most = pins.iter().max_by_key(|pin| pin.bytes).filter(|pin| pin.bytes > 0);
    most.map_or_else(String::new, |pin| {
        let others = match pins.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        format!(
            " The pinned mark {:?}{others} keeps {} bytes of it from being evicted.",
            pin.name.as_str(),
            pin.bytes
        )
    })
}

/// Most names in one text.
const SHOWN: usize = 8;

pub(super) fn did_you_mean(name: &str, nearest: Option<&str>, existing: &[String]) -> String {
    let shown: Vec<String> = existing.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    let more = existing.len().saturating_sub(SHOWN);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let there = shown.join(", ");
    let help = match nearest {
        _ if shown.is_empty() => "; no mark is set".to_owned(),
        Some(nearest) => format!("; did you mean {nearest:?}? There are {there}{more}"),
        None => format!("; there are {there}{more}"),
    };
    if is_like_a_time(name) {
        return format!(
            "{help} (A time is written as \"5 minutes ago\", \"1h 30m ago\" or \"2026-11-22T07:48:00Z\")"
        );
    }
    help
}

/// What people write who mean a time; all of them may be names of marks.
fn is_like_a_time(name: &str) -> bool {
    let mut words = name.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    let clock = name.contains(':') && name.starts_with(|first: char| first.is_ascii_digit());
    let date = name.len() >= 8 && name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let spoken = ["now", "ago", "today", "yesterday", "minute", "hour", "day"];
    clock || date || words.any(|word| spoken.contains(&word.trim_end_matches('s')))
}

pub(super) fn free_the_name(name: &str, lost: bool) -> String {
    if lost {
        return format!(
            ", which can no longer be reached; drop it first (drop({name:?})), or choose another name"
        );
    }
    "; choose another name, or drop that mark first".to_owned()
}

pub(super) fn held_by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |who| format!(": {who}"))
}

/// Nothing for a refusal at once: there SQLite has waited, and does not tell how long.
pub(super) fn after(waited: Duration) -> String {
    if waited.is_zero() { String::new() } else { format!(", waited {waited:.1?}") }
}

pub(super) fn or_wait(waited: Duration) -> &'static str {
    if waited.is_zero() { "" } else { ", or raise the timeout" }
}

/// What helps against the operating system's refusals.
pub(super) fn helps(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; check owner, mode and mount"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free some of that disk, and try again"
        }
        _ => "",
    }
}

/// What the earliest moment is.
pub(super) fn earliest_is(begins: bool) -> &'static str {
    match begins {
        true => "when recording began; what was before that is not known",
        false => "the earliest moment that can be reached",
    }
}

pub(super) fn or_go_there(rewinding: bool) -> &'static str {
    if rewinding { ", or go there with use_earliest" } else { "" }
}

/// No window reaches back to before the beginning.
pub(super) fn keep_more(begins: bool) -> &'static str {
    match begins {
        true => "",
        false => {
            "; to keep more from now on, open with a larger window or limit, or pin marks that must stay"
        }
    }
}

pub(super) fn how_to_name(path: &Path) -> &'static str {
    let name = path.to_string_lossy();
    if name.contains("://") || name.starts_with("file:") {
        "give the path of its file, not a URL"
    } else {
        "create it first, or check the path"
    }
}
