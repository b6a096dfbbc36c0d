//! The binary interface against the one that was committed (`tests/capi/abi.txt`): what each constant is, how large each struct is and where
//! its fields are, what each function takes, and which symbols of which version the shared library has.

use std::path::Path;
use std::process::Command;

use crate::toolchain::{compiler, libraries, root, run};

const ADVICE: &str = "\
Programs that were compiled against an older include/dbrewind.h run with the new library.
- lines that only came (+), and the size of a struct that begins with `size` and has more fields at its end, do not break them:
  `DBREWIND_WRITE_ABI=1 cargo test --package dbrewind-tests --test c abi`, and commit tests/capi/abi.txt.
- any other line that went or changed (-) does: undo it, or raise DBREWIND_ABI_VERSION (rust/capi/src/ffi/version.rs), the number in
  libdbrewind.so.N (rust/capi/link and install) and the version in rust/capi/dbrewind.map, say **breaking** in CHANGELOG.md, then as above.";

/// The header without comments, and without what is only for C++.
fn declarations(header: &str) -> String {
    let mut text = String::new();
    let mut rest = header;
    while let Some((before, behind)) = rest.split_once("/*") {
        text.push_str(before);
        rest = behind.split_once("*/").expect("a comment ends").1;
    }
    text.push_str(rest);
    // What follows are inline functions.
    text.split("#ifdef __cplusplus\n}").next().unwrap().to_owned()
}

/// A line for each struct, field, constant and function.
fn snapshot(folder: &Path, header: &Path) -> Vec<String> {
    let text = declarations(&std::fs::read_to_string(header).unwrap());
    let mut program = String::from("#include \"abi.h\"\n#include <stdio.h>\nint main(void) {\n");
    let mut lines = Vec::new();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for line in text.lines().filter_map(|line| line.strip_prefix("#define DBREWIND_")) {
        if let Some((name, value)) = line.split_once(' ') {
            lines.push(format!("constant DBREWIND_{name} {value}"));
        }
    }
    let code: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let code = code.join("\n").replace("extern \"C\" {", "");
    let mut rest = code.as_str();
    while let Some((declaration, behind)) = rest.split_once(';') {
        let Some((head, _)) = declaration.split_once('{') else {
            let said = words(declaration);
            if said.contains('(') {
                lines.push(format!("function {said}"));
            }
            rest = behind;
            continue;
        };
        // A struct: its fields end with semicolons, too.
        let (fields, behind) =
            rest.split_once('{').and_then(|(_, rest)| rest.split_once('}')).expect("a struct ends");
        let (name, behind) = behind.split_once(';').expect("a typedef has a name");
        let name = name.trim();
        assert!(head.trim().starts_with("typedef struct"), "{head}");
        program.push_str(&format!("    printf(\"struct {name} %zu bytes\\n\", sizeof({name}));\n"));
        for field in fields.split(';').map(words).filter(|field| !field.is_empty()) {
            let inner =
                field.split_once("(*").map_or(field.as_str(), |(_, rest)| rest.split(')').next().unwrap());
            let known = inner.rsplit([' ', '*']).next().unwrap().split('[').next().unwrap();
            program.push_str(&format!(
                "    printf(\"field {name}.{known} %zu+%zu {field}\\n\", offsetof({name}, {known}), sizeof((({name} *)0)->{known}));\n"
            ));
        }
        rest = behind;
    }
    program.push_str("    return 0;\n}\n");
    std::fs::copy(header, folder.join("abi.h")).unwrap();
    std::fs::write(folder.join("abi.c"), program).unwrap();
    let mut command = compiler("c11");
    run(command.arg(folder.join("abi.c")).arg("-o").arg(folder.join("abi")));
    let out = run(&mut Command::new(folder.join("abi")));
    lines.extend(String::from_utf8(out.stdout).unwrap().lines().map(str::to_owned));
    lines.sort();
    lines
}

/// The symbols of a shared library, with their versions.
fn symbols(library: &Path) -> Vec<String> {
    let out = run(Command::new("nm").args(["-D", "--defined-only"]).arg(library));
    let text = String::from_utf8(out.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split_whitespace().nth(2));
    let mut lines: Vec<String> = names.map(|name| format!("symbol {name}")).collect();
    lines.sort();
    lines
}

/// What differs, with what to do about it; `None`: nothing.
fn verdict(committed: &[String], now: &[String]) -> Option<String> {
    let differing = |these: &[String], those: &[String], sign: char| -> Vec<String> {
        these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}")).collect()
    };
    let mut lines = differing(committed, now, '-');
    lines.extend(differing(now, committed, '+'));
    (!lines.is_empty())
        .then(|| format!("the binary interface has changed:\n{}\n\n{ADVICE}", lines.join("\n")))
}

#[test]
fn abi_is_as_committed() {
    let Some(libraries) = libraries() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut now = snapshot(folder.path(), &root().join("include/dbrewind.h"));
    now.extend(symbols(&libraries.join("libdbrewind.so")));
    let path = root().join("tests/capi/abi.txt");
    if std::env::var_os("DBREWIND_WRITE_ABI").is_some() {
        std::fs::write(&path, now.join("\n") + "\n").unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let committed: Vec<String> = committed.lines().map(str::to_owned).collect();
    if let Some(text) = verdict(&committed, &now) {
        panic!("{text}");
    }
    assert!(now.len() > 300, "{} lines: it looks at too little", now.len());
}

/// Each kind of change is seen, and named by its line.
#[test]
fn abi_changes_are_seen() {
    let header = std::fs::read_to_string(root().join("include/dbrewind.h")).unwrap();
    let before = tempfile::tempdir().unwrap();
    let committed = snapshot(before.path(), &root().join("include/dbrewind.h"));
    for (what, from, to, seen) in [
        (
            "two fields change places",
            "    uint32_t synchronous;",
            "    uint32_t zynchronous;\n    uint32_t synchronous;",
            "- field dbrewind_options.synchronous 56+4",
        ),
        (
            "a field gets another type",
            "    double seconds;",
            "    float seconds;",
            "+ field dbrewind_rewound.seconds",
        ),
        (
            "a constant gets another value",
            "#define DBREWIND_BUSY 4",
            "#define DBREWIND_BUSY 5",
            "- constant DBREWIND_BUSY 4",
        ),
        (
            "a function takes something else",
            "size_t dbrewind_pin_list_count(const struct dbrewind_pin_list *pins);",
            "size_t dbrewind_pin_list_count(int pins);",
            "- function size_t dbrewind_pin_list_count(const struct dbrewind_pin_list *pins)",
        ),
        (
            "a function is gone",
            "size_t dbrewind_pin_list_count(const struct dbrewind_pin_list *pins);",
            "",
            "- function size_t dbrewind_pin_list_count",
        ),
    ] {
        assert!(header.contains(from), "{what}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("changed.h");
        std::fs::write(&path, header.replacen(from, to, 1)).unwrap();
        let text = verdict(&committed, &snapshot(folder.path(), &path)).unwrap_or_default();
        assert!(text.contains(seen) && text.contains("DBREWIND_ABI_VERSION"), "{what}: {text}");
    }
    assert_eq!(verdict(&committed, &committed), None);
}
