//! `dbrewind completions` and `dbrewind man`: what a shell and `man` know of the command, from its arguments.

use std::path::Path;

use clap::CommandFactory;
use clap_complete::Shell;
use dbrewind_sqlite::Code;
use serde::Serialize;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::report::Report;

#[derive(Serialize)]
struct Completions {
    shell: String,
    script: String,
}

#[derive(Serialize)]
struct Pages {
    pages: Vec<String>,
}

pub(crate) fn completions(shell: Shell) -> Result<Report, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "dbrewind", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Report::new(&Completions { shell: shell.to_string(), script: script.clone() }, script)
}

pub(crate) fn man(folder: &Path) -> Result<Report, Failure> {
    let failed = |error: std::io::Error| {
        Failure::own(Code::Io, format!("cannot write the pages into {}: {error}", folder.display()))
            .with_fix("name a folder that is there and can be written")
    };
    clap_mangen::generate_to(Arguments::command(), folder).map_err(failed)?;
    let entries = std::fs::read_dir(folder).map_err(failed)?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut pages: Vec<_> =
        names.filter(|name| name.starts_with("dbrewind") && name.ends_with(".1")).collect();
    pages.sort();
    let text = pages.join("\n");
    Report::new(&Pages { pages }, text)
}
