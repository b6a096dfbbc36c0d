//! The command line. What it does is in the library, which the Python package contains, too.

use std::process::ExitCode;

use dbrewind_cli::Host;

fn main() -> ExitCode {
    ExitCode::from(dbrewind_cli::main(std::env::args_os(), Host::default()))
}
