//! Which processors are whose: a time counts for more if nobody else wants the processor of who is measured.

use std::path::Path;
use std::process::Command;

/// One processor for the campaign's own thread, the others for the writers.
#[derive(Debug, Clone)]
pub(super) struct Processors {
    others: String,
}

impl Processors {
    /// Puts the calling thread on the first processor that it may use. `None` where there is only one, or no `taskset`.
    pub(super) fn part() -> Option<Self> {
        let status = std::fs::read_to_string("/proc/thread-self/status").ok()?;
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
        let (own, others) = split(&numbers(allowed.trim())?)?;
        let thread = std::fs::read_link("/proc/thread-self").ok()?;
        let thread = thread.file_name()?.to_owned();
        let mut command = Command::new("taskset");
        let done = command.args(["-p", "-c", &own]).arg(thread).output().ok()?;
        done.status.success().then_some(Self { others })
    }

    /// A program that runs on the others.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("taskset");
        // It becomes the program: a kill of it is a kill of that.
        command.args(["-c", &self.others]).arg(program);
        command
    }
}

/// The first one, and the others.
fn split(numbers: &[u32]) -> Option<(String, String)> {
    let (own, others) = numbers.split_first().filter(|(_, others)| !others.is_empty())?;
    let others: Vec<String> = others.iter().map(u32::to_string).collect();
    Some((own.to_string(), others.join(",")))
}

/// The numbers of a list as the system writes it: `0-2,5`.
fn numbers(list: &str) -> Option<Vec<u32>> {
    let mut found = Vec::new();
    for part in list.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        found.extend(from.parse().ok()?..=to.parse::<u32>().ok()?);
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_one_is_apart() {
        assert_eq!(numbers("0-2,5").unwrap(), [0, 1, 2, 5]);
        assert_eq!(split(&numbers("0-2,5").unwrap()), Some(("0".to_owned(), "1,2,5".to_owned())));
        assert_eq!(split(&numbers("3").unwrap()), None);
        assert_eq!(numbers("none"), None);
    }
}
