//! A program that records what it writes in a rollback mode without knowing of it: `libdbrewind_preload.so` is loaded ahead of its
//! libsqlite3 (`cli.md`, "A program in a rollback mode").

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use dbrewind_sqlite::{Code, Database};

use crate::failure::Failure;
use crate::show;

/// The library's file.
pub(crate) const NAME: &str = "libdbrewind_preload.so";

/// What a program gets into its environment, and where it answers.
pub(crate) struct Preload {
    library: PathBuf,
    /// Processes write a line into it for which the database cannot be recorded. Removed at the end.
    report: PathBuf,
}

impl Preload {
    /// For a program that is about to be started. Refuses one into which nothing can be loaded. `beside`: a further folder where the
    /// library may be.
    pub(crate) fn for_program(program: &OsStr, beside: Option<&Path>) -> Result<Self, Failure> {
        let library = library(beside).ok_or_else(|| {
            let text = format!("{NAME} is not there, which a program in a rollback journal mode needs to record what it writes");
            cannot(text).with_fix(format!(
                "name it in DBREWIND_PRELOAD, or take the database to WAL mode: `dbrewind run --journal wal ...` ({NAME} is built by \
                 `cargo build --release --package dbrewind-preload`)"
            ))
        })?;
        if let Some(why) = found(program).and_then(|path| unloadable(&path, 4)) {
            let program = show::plain(&program.to_string_lossy());
            return Err(cannot(format!(
                "{program} {why}, so what it writes in a rollback journal mode cannot be recorded"
            )));
        }
        let report = std::env::temp_dir().join(format!(
            "dbrewind-run-{}-{}",
            std::process::id(),
            dbrewind_sqlite::Timestamp::now().get()
        ));
        let made = File::options().write(true).create_new(true).open(&report);
        made.map_err(|error| Failure::own(Code::Io, format!("cannot write {}: {error}", report.display())))?;
        Ok(Self { library, report })
    }

    /// Has a program, and what it starts, record what it writes to the database.
    pub(crate) fn put_into(&self, command: &mut Command, database: &Database) {
        let mut libraries = self.library.clone().into_os_string();
        if let Some(more) = std::env::var_os("LD_PRELOAD").filter(|more| !more.is_empty()) {
            libraries.push(":");
            libraries.push(more);
        }
        command.env("LD_PRELOAD", libraries);
        command
            .env("DBREWIND_RUN_DATABASE", database.path())
            .env("DBREWIND_RUN_STORE", database.store_path());
        command.env("DBREWIND_RUN_REPORT", &self.report);
    }

    /// Refuses what the program left, if one of its processes could not record.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let told = std::fs::read_to_string(&self.report).unwrap_or_default();
        match told.lines().next() {
            None => Ok(()),
            Some(line) => Err(cannot(format!("process {line}"))),
        }
    }
}

impl Drop for Preload {
    fn drop(&mut self) {
        // A file of the system's temporary folder is no reason to fail.
        let _ = std::fs::remove_file(&self.report);
    }
}

fn cannot(text: String) -> Failure {
    Failure::own(Code::Unreachable, text).with_fix(
        "take the database to WAL mode, where programs need nothing: `dbrewind run --journal wal ...`",
    )
}

/// In that folder, beside this program, or where it is installed.
pub(crate) fn library(beside: Option<&Path>) -> Option<PathBuf> {
    if let Some(given) = std::env::var_os("DBREWIND_PRELOAD") {
        return std::path::absolute(given).ok().filter(|given| given.is_file());
    }
    let program = std::env::current_exe().unwrap_or_default();
    let folder = program.parent().unwrap_or(Path::new("/"));
    let places = beside.map(|folder| folder.join(NAME)).into_iter();
    let mut places = places.chain([folder.join(NAME), folder.join("../lib").join(NAME)]);
    places.find_map(|place| std::fs::canonicalize(place).ok())
}

/// The file that a shell would start.
fn found(program: &OsStr) -> Option<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(program));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Why nothing can be loaded into a program; `None`: it can, or it is not known.
fn unloadable(path: &Path, depth: u32) -> Option<&'static str> {
    let mut file = File::open(path).ok()?;
    if file.metadata().ok()?.permissions().mode() & 0o6000 != 0 {
        return Some("runs with the rights of another user");
    }
    let mut bytes = Vec::new();
    file.by_ref().take(4096).read_to_end(&mut bytes).ok()?;
    if let Some(line) = bytes.strip_prefix(b"#!") {
        // The interpreter is what runs.
        let word = line
            .split(|byte| *byte == b'\n')
            .next()?
            .split(|byte| b" \t".contains(byte))
            .find(|word| !word.is_empty())?;
        return unloadable(Path::new(OsStr::from_bytes(word)), depth.checked_sub(1)?);
    }
    if !bytes.starts_with(b"\x7fELF") {
        return None;
    }
    // ELFCLASS64 is what this is.
    if bytes.get(4) != Some(&2) {
        return Some("is a 32-bit program");
    }
    (!names_a_loader(&bytes)?).then_some("is linked statically")
}

/// Whether one of the program headers is `PT_INTERP`.
fn names_a_loader(bytes: &[u8]) -> Option<bool> {
    let word = |at: usize, length: usize| {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte)))
    };
    let (begin, size, count) = (word(32, 8)?, word(54, 2)?, word(56, 2)?);
    for number in 0..count {
        let at = begin.checked_add(number.checked_mul(size)?)?;
        if word(usize::try_from(at).ok()?, 4)? == 3 {
            return Some(true);
        }
    }
    Some(false)
}
