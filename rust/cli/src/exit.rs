//! What a command exits with.

use dbrewind_sqlite::Code;

/// It was done.
pub(crate) const DONE: u8 = 0;
/// It could not be done.
pub(crate) const FAILED: u8 = 1;
/// The arguments make no sense.
pub(crate) const USAGE: u8 = 2;
/// It would have been possible to do something, but nothing that is right: somebody else is busy, or what lies between is not known.
pub(crate) const REFUSED: u8 = 3;
/// Not with this kind of database, or of change.
pub(crate) const UNSUPPORTED: u8 = 4;

/// The exit status for a code of the table.
pub(crate) fn status_of(code: Code) -> u8 {
    match code {
        Code::InvalidArgument => USAGE,
        Code::NotAttached | Code::Busy | Code::MarkLost | Code::MarkExists | Code::BeforeWindow => REFUSED,
        Code::Unreachable | Code::StoreVersion | Code::TwoSqlites | Code::Unsupported => UNSUPPORTED,
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of `cli.md` is what people write scripts by.
    #[test]
    fn the_page_tells_the_status_of_each_code() {
        let page = include_str!("../../docs/cli.md");
        let row = |status: u8| {
            let begins = format!("| {status} |");
            page.lines().find(|line| line.starts_with(&begins)).unwrap_or_else(|| panic!("no row {begins}"))
        };
        for code in Code::ALL {
            let status = status_of(*code);
            for other in [FAILED, USAGE, REFUSED, UNSUPPORTED] {
                assert_eq!(row(other).contains(code.text()), other == status, "{code} in row {other}");
            }
        }
    }
}
