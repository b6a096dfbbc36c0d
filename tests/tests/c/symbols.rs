//! What a program that was compiled against the header finds in the libraries.

use std::process::Command;

use crate::toolchain::{libraries, root, run};

/// The functions that the header declares are the symbols of both libraries, all with a version, and there are no others.
#[test]
fn no_other_symbol_is_seen() {
    let Some(libraries) = libraries() else { return };
    let header = std::fs::read_to_string(root().join("include/dbrewind.h")).unwrap();
    let mut declared: Vec<String> = Vec::new();
    for line in
        header.lines().filter(|line| !line.starts_with([' ', '/', '#']) && !line.starts_with("static"))
    {
        if let Some((before, _)) = line.split_once('(')
            && let Some(name) = before.split([' ', '*']).next_back()
            && name.starts_with("dbrewind_")
        {
            declared.push(name.to_owned());
        }
    }
    declared.sort();
    assert!(declared.len() > 40, "{declared:?}");
    let symbols = |arguments: &[&str], file: &str| -> Vec<String> {
        let out = run(Command::new("nm").args(arguments).arg("--defined-only").arg(libraries.join(file)));
        let text = String::from_utf8(out.stdout).unwrap();
        let lines = text.lines().filter_map(|line| line.split_whitespace().nth(2).map(str::to_owned));
        let mut names: Vec<String> = lines.collect();
        names.sort();
        names
    };
    let mut versioned: Vec<String> = declared.iter().map(|name| format!("{name}@@DBREWIND_1")).collect();
    versioned.push("DBREWIND_1".to_owned());
    versioned.sort();
    assert_eq!(symbols(&["-D"], "libdbrewind.so"), versioned);
    assert_eq!(symbols(&["-g"], "libdbrewind.a"), declared);
    let sqlite = run(Command::new("nm").arg("-u").arg(libraries.join("libdbrewind.a")));
    assert!(!String::from_utf8_lossy(&sqlite.stdout).contains("sqlite3"), "it needs no SQLite to be linked");
}
