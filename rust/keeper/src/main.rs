//! The keeper as a program. Its host starts it; by hand it only tells its version.

use std::io::IsTerminal;
use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args_os().len() > 1 || std::io::stdin().is_terminal() {
        eprintln!("dbrewind-keeper {}", env!("CARGO_PKG_VERSION"));
        eprintln!(
            "Records SQLite databases for the program that starts it, over its standard input and output."
        );
        return ExitCode::from(2);
    }
    ExitCode::from(dbrewind_keeper::serve_stdio())
}
