//! Copies of SQLite that a process loads: visible, hidden, and libraries that are none.
//! One test, because what is loaded stays loaded and is seen by all.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(unsafe_code, reason = "dlopen")]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use dbrewind_keeper::{Choice, Error, Handle, KeeperCommand, copies};
use dbrewind_sqlite::{Code, OpenOptions, SqliteApi};

/// Compiles a library and loads it into this process.
fn load(folder: &Path, name: &str, source: &str) -> PathBuf {
    let code = folder.join(format!("{name}.rs"));
    std::fs::write(&code, format!("#![crate_type = \"cdylib\"]\n{source}")).unwrap();
    let library = folder.join(format!("{name}.so"));
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--edition", "2024", "-o"]).arg(&library).arg(&code);
    assert!(command.status().unwrap().success());
    let path = CString::new(library.as_os_str().as_bytes()).unwrap();
    // SAFETY: the library was compiled above, and its constructors do nothing.
    assert!(!unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) }.is_null());
    library
}

/// 400 kB of constants around a text, and a function to reach them.
fn constants(text: &str) -> String {
    format!(
        "#[used] static FILLER: [u8; 400_000] = [1; 400_000];\n\
         #[used] static TEXT: &[u8] = b\"{text}\\0\";\n\
         #[unsafe(no_mangle)] pub extern \"C\" fn unrelated() -> usize {{ TEXT.len() + FILLER.len() }}"
    )
}

#[test]
fn copies_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let api = SqliteApi::bundled();
    let found = || -> Vec<_> {
        copies::others(Some(&api)).unwrap().into_iter().map(|copy| (copy.path, copy.visible)).collect()
    };
    assert_eq!(found(), []);
    // Recognises files by their first bytes, as many programs do, and has no SQLite.
    load(folder.path(), "recogniser", &constants("SQLite format 3"));
    // Uses somebody's SQLite, and mentions its function.
    load(folder.path(), "user", &constants("sqlite3_libversion"));
    assert_eq!(found(), []);

    let hidden = load(folder.path(), "hidden", &constants("unix-dotfile"));
    assert_eq!(found(), [(hidden.clone(), false)]);
    let source =
        "#[unsafe(no_mangle)] pub extern \"C\" fn sqlite3_libversion() -> *const u8 { b\"3\\0\".as_ptr() }";
    let visible = load(folder.path(), "visible", source);
    let mut expected = [(hidden, false), (visible, true)];
    let mut all = found();
    expected.sort();
    all.sort();
    assert_eq!(all, expected);

    let keeper = KeeperCommand::new("/nowhere/keeper");
    let path = folder.path().join("x.db");
    std::fs::write(&path, "").unwrap();
    let open = |choice| Handle::open(choice, Ok(api), &keeper, &path, &OpenOptions::default());
    let error = open(Choice::Inside).unwrap_err();
    assert_eq!(error.code(), Code::TwoSqlites);
    assert!(error.to_string().contains("hidden.so"), "{error}");
    // The keeper was chosen.
    assert!(matches!(open(Choice::Auto), Err(Error::Failed(_))));

    let began = Instant::now();
    copies::others(Some(&api)).unwrap();
    println!("counting again took {:?}", began.elapsed());
}
