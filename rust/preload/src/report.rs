//! What `dbrewind run` is told: that this process would have written unrecorded.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Once;

/// Says it on standard error, and once in the file that `dbrewind run` looks into.
pub(crate) fn refused(why: &str) {
    static TOLD: Once = Once::new();
    TOLD.call_once(|| {
        let program = std::env::current_exe().unwrap_or_default();
        let line = format!("{} ({}): {why}\n", std::process::id(), program.display());
        // Neither can be told elsewhere when it cannot be written.
        let _ = write!(std::io::stderr(), "dbrewind: [DBR002] {line}");
        if let Some(path) = std::env::var_os("DBREWIND_RUN_REPORT").map(PathBuf::from) {
            let file = std::fs::OpenOptions::new().append(true).open(path);
            let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
        }
    });
}
