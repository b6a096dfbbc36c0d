//! Which process a number means, from `/proc`.

use std::fs;
use std::time::Duration;

use crate::ffi::{ticks_per_second, uptime};

/// Bytes of a program's name, with its first argument, at most.
pub(crate) const LONGEST: usize = 160;
/// Characters of an argument that are shown: the last ones say more.
const SHOWN: usize = 40;

/// A process, or a thread, of this machine since its start: not another one that has its number before or after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Clock ticks between the start of the machine and its own.
    pub(crate) began: u64,
}

impl Process {
    /// The one that has the number now. `None`: there is none, or it has ended and its parent has not noticed yet.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        began(&format!("/proc/{pid}/stat")).map(|began| Self { pid, began })
    }

    /// Whether it runs.
    pub(crate) fn runs(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Whether it has a thread of this number that is no younger than this.
    pub(crate) fn has_thread(self, thread: u32, age: Duration) -> bool {
        // Ticks are coarse, and the wall clock, by which the age is told, may be a little off.
        let slack = 2;
        let began = began(&format!("/proc/{}/task/{thread}/stat", self.pid));
        began.is_some_and(|began| now().saturating_sub(began) + slack >= ticks(age)) && self.runs()
    }
}

/// When it is, in the ticks in which processes begin.
pub(crate) fn now() -> u64 {
    ticks(uptime())
}

fn ticks(time: Duration) -> u64 {
    let per_second = ticks_per_second();
    time.as_secs().saturating_mul(per_second) + u64::from(time.subsec_nanos()) * per_second / 1_000_000_000
}

fn began(stat: &str) -> Option<u64> {
    parse_began(&fs::read(stat).ok()?)
}

/// `4711 (a name) S 1 ...`: the 22nd field, unless it has ended.
fn parse_began(stat: &[u8]) -> Option<u64> {
    // Behind the name, which may have brackets and blanks in it.
    let behind = stat.iter().rposition(|byte| *byte == b')').and_then(|at| stat.get(at + 1..))?;
    let mut fields = std::str::from_utf8(behind).ok()?.split_ascii_whitespace();
    let ended = matches!(fields.next()?, "Z" | "X" | "x");
    let began = fields.nth(18)?.parse().ok()?;
    (!ended).then_some(began)
}

/// The number of the pid namespace in which this process has its number; 0 if the system does not tell.
pub(crate) fn namespace() -> u64 {
    // `pid:[4026531836]`.
    let link = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let text = link.to_string_lossy();
    text.split(['[', ']']).nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What a process runs: the program, and the first argument that says more, `python server.py`. Nothing after that, nor after
/// an option that may have a value, which may be secret.
/// Empty if the system does not tell.
#[must_use]
pub fn program(pid: u32) -> String {
    let name = fs::read(format!("/proc/{pid}/comm")).unwrap_or_default();
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let arguments: Vec<_> = line.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    command(String::from_utf8_lossy(&name).trim_end_matches('\n'), arguments.iter().map(AsRef::as_ref))
}

fn command<'a>(name: &str, arguments: impl Iterator<Item = &'a str>) -> String {
    let mut rest = arguments;
    let is_python = rest.next().is_some_and(is_python);
    let mut said = String::new();
    while let Some(argument) = rest.next() {
        match argument {
            "-X" | "-W" if is_python => drop(rest.next()),
            "-m" if is_python => {
                said = format!("-m {}", rest.next().unwrap_or_default());
                break;
            }
            "-c" => {
                "-c ...".clone_into(&mut said);
                break;
            }
            _ if argument.is_empty() => {}
            _ if argument.starts_with('-') => {
                let alone = argument.contains('=') || (is_python && stands_alone(argument));
                if !alone {
                    // What follows may be its value, and a password.
                    break;
                }
            }
            _ => {
                let cut = argument.char_indices().rev().nth(SHOWN - 1).map_or(0, |(at, _)| at);
                said = format!(
                    "{}{}",
                    if cut > 0 { "..." } else { "" },
                    argument.get(cut..).unwrap_or_default()
                );
                break;
            }
        }
    }
    plain(format!("{name} {said}").trim())
}

/// Whether a program is Python's interpreter, by its path.
fn is_python(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    ["python", "pypy"].iter().any(|python| name.starts_with(python))
}

/// Whether nothing that follows belongs to this option of the interpreter: flags, or one with its value.
fn stands_alone(option: &str) -> bool {
    let letters = option.trim_start_matches('-');
    let is_short = option.len() == letters.len() + 1 && !letters.is_empty();
    is_short
        && (letters.starts_with(['X', 'W']) || letters.chars().all(|flag| "bBdEhiIOPqRsSuvx".contains(flag)))
}

/// The text without what would disturb whoever prints it, and no longer than [`LONGEST`].
pub(crate) fn plain(text: &str) -> String {
    let mut out: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    while out.len() > LONGEST {
        out.pop();
    }
    out
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_command_is_told_up_to_its_first_argument() {
        let long = format!("/{}", "x".repeat(60));
        for (arguments, said) in [
            (vec!["/usr/bin/python3", "server.py", "--password=x"], "python3 server.py"),
            (vec!["python3", "-u", "-W", "error", "-m", "uvicorn", "shop:app"], "python3 -m uvicorn"),
            (vec!["python3", "-c", "secret = 7"], "python3 -c ..."),
            (vec!["python3", "-X", "dev", "worker.py"], "python3 worker.py"),
            (vec!["/venv/bin/python3.12", "-Bu", "-Wignore", "-s", "worker.py"], "python3.12 worker.py"),
            (vec!["sqlite3", "app.db", "SELECT 1"], "sqlite3 app.db"),
            (vec!["worker", "--queue=mail", "serve"], "worker serve"),
            // Whether it is the option's value the system does not tell.
            (vec!["sqlite3", "-readonly", "app.db", "SELECT 1"], "sqlite3"),
            (vec!["worker", "--password", "hunter2"], "worker"),
            (vec!["worker", "-u", "hunter2"], "worker"),
            (vec!["worker", "-m", "hunter2"], "worker"),
            (vec!["python3", "--password", "hunter2"], "python3"),
            (vec!["python3", "-", "hunter2"], "python3"),
            (vec!["worker", ""], "worker"),
            (vec!["cat", &long], &format!("cat ...{}", "x".repeat(40))),
            (vec!["cat", &"ä".repeat(41)], &format!("cat ...{}", "ä".repeat(40))),
            (vec!["cat", &"ä".repeat(40)], &format!("cat {}", "ä".repeat(40))),
            (vec!["cat", "a\nb\u{1b}[31m"], "cat a?b?[31m"),
        ] {
            let name = arguments[0].rsplit('/').next().unwrap();
            assert_eq!(command(name, arguments.into_iter()), said);
        }
    }

    #[test]
    fn a_name_is_not_longer_than_it_may_be() {
        assert!((LONGEST - 4..=LONGEST).contains(&plain(&"ä€".repeat(LONGEST)).len()));
    }

    #[test]
    fn the_beginning_is_found_whatever_the_name() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        for name in ["sh", "a b", ") Z 1 (", "x) S"] {
            assert_eq!(parse_began(format!("7 ({name}) S {rest}").as_bytes()), Some(4711), "{name}");
            assert_eq!(parse_began(format!("7 ({name}) Z {rest}").as_bytes()), None, "{name}");
        }
        for cut in ["", "7", "7 (sh", "7 (sh)", "7 (sh) S 1 2"] {
            assert_eq!(parse_began(cut.as_bytes()), None);
        }
    }

    #[test]
    fn a_process_runs_until_it_has_ended() {
        let mut other = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let process = Process::of(other.id()).unwrap();
        assert!(process.runs() && process.began <= now());
        assert!(process.has_thread(other.id(), Duration::ZERO));
        assert!(!Process { began: process.began + 1, ..process }.runs(), "another one with its number");
        drop(other.stdin.take());
        // Whether its parent has asked or not.
        while process.runs() {
            std::thread::yield_now();
        }
        other.wait().unwrap();
        assert_eq!(Process::of(other.id()), None);
    }

    #[test]
    fn a_thread_that_is_younger_than_what_it_should_have_done_is_another_one() {
        let me = Process::of(std::process::id()).unwrap();
        let thread = crate::ffi::thread_id();
        assert!(me.has_thread(thread, Duration::ZERO));
        assert!(!me.has_thread(thread, Duration::from_secs(1 << 40)));
        assert!(!me.has_thread(u32::MAX, Duration::ZERO));
    }
}
