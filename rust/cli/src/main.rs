//! The command line. What it does is in the library, which the Python package contains, too.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(dbrewind_cli::main(std::env::args_os(), None))
}
