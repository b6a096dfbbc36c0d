//! `include/dbrewind.h` is what cbindgen makes of this crate's sources today.

use std::path::Path;

/// In the order of the header.
const SOURCES: [&str; 20] = [
    "version",
    "codes",
    "error",
    "sqlite",
    "options",
    "moment",
    "database",
    "marks",
    "rewind",
    "status",
    "past",
    "difference",
    "counter",
    "interrupt",
    "medium",
    "volume",
    "keyed",
    "file",
    "volume_status",
    "process",
];

fn generated(folder: &Path) -> String {
    let mut config = cbindgen::Config::from_file(folder.join("cbindgen.toml")).unwrap();
    let inline = std::fs::read_to_string(folder.join("inline.h")).unwrap();
    config.trailer = Some(inline.trim_end().to_owned());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for name in SOURCES {
        builder = builder.with_src(folder.join("src/ffi").join(name).with_extension("rs"));
    }
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    on_one_line(&String::from_utf8(text).unwrap())
}

/// Puts comments of one line on one line.
fn on_one_line(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        let comment = line.trim() == "*/" && lines.len() >= 2;
        if comment && lines.get(lines.len() - 2).is_some_and(|line| line.trim() == "/*") {
            let words = lines.pop().unwrap_or_default();
            let begin = lines.pop().unwrap_or_default();
            lines.push(format!("{begin} {} */", words.trim()));
        } else {
            lines.push(line.trim_end().to_owned());
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_header_is_fresh() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let header = folder.join("../../include/dbrewind.h");
    let now = generated(folder);
    if std::env::var_os("DBREWIND_WRITE_HEADER").is_some() {
        std::fs::create_dir_all(header.parent().unwrap()).unwrap();
        std::fs::write(&header, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&header).unwrap_or_default();
    assert!(committed == now, "include/dbrewind.h is stale; run `make header`, and commit it");
}

#[test]
fn no_source_is_left_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/ffi");
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !["mod", "given"].contains(&name.as_str()))
        .collect();
    found.sort();
    let mut listed = SOURCES.to_vec();
    listed.sort_unstable();
    assert_eq!(found, listed);
}
