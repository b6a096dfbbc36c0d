//! Whether a golden folder still says what it said when it was written.

use std::fs;
use std::path::Path;

use super::{DATABASE, STATES, STORE, STORY, Told, entries, tell};
use crate::image::Image;

/// Reads the store of a golden folder, which is written to by that: of a copy of one. Compares what it tells with the story, and the states with
/// those that a reader saw.
///
/// # Errors
/// The first thing that is not as it was.
pub fn compare(folder: &Path) -> Result<(), String> {
    let told = tell(&folder.join(STORE), &folder.join(DATABASE))?;
    let story = story(folder)?;
    same_lines(&format!("{}{}", told.history, told.registers), &story)?;
    same_states(folder, &told, &story)
}

/// The same without the shared words, which a store that has lost its control file does not have.
///
/// # Errors
/// The first thing that is not as it was.
pub fn compare_history(folder: &Path) -> Result<(), String> {
    let told = tell(&folder.join(STORE), &folder.join(DATABASE))?;
    let lines = story(folder)?;
    let history: String =
        lines.lines().filter(|line| !line.contains("registers")).flat_map(|line| [line, "\n"]).collect();
    same_lines(&told.history, &history)
}

/// Without the bytes of a database that move forward, whatever moment it is at.
#[must_use]
pub fn still(state: Vec<u8>) -> Vec<u8> {
    if state.starts_with(b"SQLite format 3\0") { Image::of_bytes(512, state).bytes } else { state }
}

fn story(folder: &Path) -> Result<String, String> {
    fs::read_to_string(folder.join(STORY)).map_err(|error| format!("the story: {error}"))
}

fn same_states(folder: &Path, told: &Told, story: &str) -> Result<(), String> {
    let mut seen = Vec::new();
    for (lsn, state) in &told.states {
        let expected = fs::read(folder.join(STATES).join(lsn.to_string()));
        let expected = expected.map_err(|error| format!("the state at {lsn}: {error}"))?;
        if still(state.clone()) != still(expected) {
            return Err(format!("the state at {lsn} is another one"));
        }
        seen.push(lsn.to_string());
    }
    for path in entries(&folder.join(STATES)) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        // One whose mark was dropped is there to be looked at only.
        if !seen.contains(&name) && !story.contains("Drop") {
            return Err(format!("nobody goes to {name}"));
        }
    }
    Ok(())
}

/// The hash at the end of a state's line sums up the bytes that move forward as well, which a later round may have moved: what
/// counts of a state is compared byte for byte, with the file of it.
fn same_lines(found: &str, expected: &str) -> Result<(), String> {
    let told = |line: &str| match line.strip_prefix("  state at ") {
        Some(state) => state.rsplit_once(' ').map_or(String::new(), |(told, _)| told.to_owned()),
        None => line.to_owned(),
    };
    for (found, expected) in found.lines().zip(marks_as_set(expected)) {
        if told(found) != told(expected) {
            return Err(format!("it says\n{found}\nand said\n{expected}"));
        }
    }
    let (found, expected) = (found.lines().count(), expected.lines().count());
    if found == expected { Ok(()) } else { Err(format!("it says {found} lines, and said {expected}")) }
}

/// The lines of a story, those of marks in the order they were set: stories that were told before that was the order have that of the log.
fn marks_as_set(story: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = story.lines().collect();
    let is_mark = |line: &&str| line.trim_start().starts_with("MarkEntry {");
    let number = |line: &str, before: &str| -> u64 {
        let digits = line.split_once(before).and_then(|(_, rest)| rest.split_once(')'));
        digits.and_then(|(digits, _)| digits.parse().ok()).unwrap_or(0)
    };
    lines.chunk_by_mut(|a, b| is_mark(a) == is_mark(b)).for_each(|group| {
        if group.first().is_some_and(is_mark) {
            group.sort_by_key(|line| (number(line, "lsn: Lsn("), number(line, "time: Timestamp(")));
        }
    });
    lines
}
