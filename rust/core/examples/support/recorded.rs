//! What a measurement says: printed as it goes, and kept when it was asked for.

use std::fmt::Write as _;
use std::path::Path;

/// Lines and samples of one run.
pub(crate) struct Recorded {
    stem: Option<String>,
    page: String,
    samples: String,
}

impl Recorded {
    /// A run with this title. With a stem, [`keep`](Self::keep) writes `STEM.md` and `STEM.csv`.
    pub(crate) fn new(title: &str, stem: Option<String>) -> Self {
        let mut page = format!("# {title}\n\n{}\n\n", facts());
        if cfg!(debug_assertions) {
            page += "Not compiled for release: times count for nothing.\n\n";
        }
        print!("{page}");
        Self { stem, page, samples: "what,value\n".to_owned() }
    }

    /// One line of the text.
    pub(crate) fn line(&mut self, line: &str) {
        println!("{line}");
        self.page += line;
        self.page.push('\n');
    }

    /// A value as it was measured, with its unit in its name.
    pub(crate) fn sample(&mut self, what: &str, value: f64) {
        let _infallible = writeln!(self.samples, "\"{what}\",{value}");
    }

    /// Writes both files, if that was asked for.
    pub(crate) fn keep(self) -> std::io::Result<()> {
        let Some(stem) = self.stem else { return Ok(()) };
        std::fs::write(format!("{stem}.md"), self.page)?;
        std::fs::write(format!("{stem}.csv"), self.samples)?;
        println!("\nrecorded in {stem}.md and .csv");
        Ok(())
    }
}

/// The value behind an option's name, both taken out of the arguments.
pub(crate) fn take_option(arguments: &mut Vec<String>, name: &str) -> Option<String> {
    let at = arguments.iter().position(|found| found == name)?;
    arguments.remove(at);
    (at < arguments.len()).then(|| arguments.remove(at))
}

/// What it was measured on.
fn facts() -> String {
    let read = |path: &str| std::fs::read_to_string(Path::new(path)).unwrap_or_default();
    let first = |path: &str, key: &str| {
        let text = read(path);
        let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    format!(
        "{}, {} processors, {}, kernel {}, load {}",
        first("/proc/cpuinfo", "model name"),
        std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        first("/proc/meminfo", "MemTotal"),
        read("/proc/sys/kernel/osrelease").trim(),
        read("/proc/loadavg").trim(),
    )
}
