//! The texts of the `DBR` table, as C strings.

use std::ffi::{CStr, CString};
use std::sync::OnceLock;

use dbrewind_sqlite::Code;

/// What is known of a code.
pub(crate) struct Known {
    number: u16,
    pub(crate) text: CString,
    pub(crate) title: CString,
    pub(crate) explanation: CString,
}

/// The table's row, if there is one of this number.
pub(crate) fn known(number: i32) -> Option<&'static Known> {
    static ALL: OnceLock<Vec<Known>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let row = |code: &Code| Known {
            number: code.number(),
            text: c_string(code.text()),
            title: c_string(code.title()),
            explanation: c_string(code.explanation()),
        };
        Code::ALL.iter().map(row).collect()
    });
    all.iter().find(|row| i32::from(row.number) == number)
}

/// A text up to its first NUL, of which it has none unless it quotes one.
pub(crate) fn c_string(text: &str) -> CString {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    CStr::from_bytes_until_nul(&bytes).map(CStr::to_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ffi::codes as c;

    #[test]
    fn each_code_has_a_constant() {
        let constants = [
            (c::DBREWIND_NOT_ATTACHED, Code::NotAttached),
            (c::DBREWIND_UNREACHABLE, Code::Unreachable),
            (c::DBREWIND_MARK_NOT_FOUND, Code::MarkNotFound),
            (c::DBREWIND_BUSY, Code::Busy),
            (c::DBREWIND_STORE_FULL, Code::StoreFull),
            (c::DBREWIND_MARK_LOST, Code::MarkLost),
            (c::DBREWIND_FILE_MISSING, Code::FileMissing),
            (c::DBREWIND_NOT_A_DATABASE, Code::NotADatabase),
            (c::DBREWIND_NOT_WRITABLE, Code::NotWritable),
            (c::DBREWIND_STORE_DAMAGED, Code::StoreDamaged),
            (c::DBREWIND_STORE_VERSION, Code::StoreVersion),
            (c::DBREWIND_TWO_SQLITES, Code::TwoSqlites),
            (c::DBREWIND_FILE_REPLACED, Code::FileReplaced),
            (c::DBREWIND_CLOSED, Code::Closed),
            (c::DBREWIND_FORKED, Code::Forked),
            (c::DBREWIND_UNSUPPORTED, Code::Unsupported),
            (c::DBREWIND_INVALID_ARGUMENT, Code::InvalidArgument),
            (c::DBREWIND_MARK_EXISTS, Code::MarkExists),
            (c::DBREWIND_KEEPER_FAILED, Code::KeeperFailed),
            (c::DBREWIND_IO, Code::Io),
            (c::DBREWIND_INTERRUPTED, Code::Interrupted),
            (c::DBREWIND_BEFORE_WINDOW, Code::BeforeWindow),
            (c::DBREWIND_INTERNAL, Code::Internal),
        ];
        let named: Vec<Code> = constants.iter().map(|(_, code)| *code).collect();
        assert_eq!(named, Code::ALL);
        for (number, code) in constants {
            assert_eq!(number, i32::from(code.number()), "{code}");
            assert_eq!(known(number).unwrap().text.to_str().unwrap(), code.text());
        }
        assert!(known(0).is_none() && known(-1).is_none());
    }

    #[test]
    fn a_text_ends_at_a_nul() {
        assert_eq!(c_string("a\0b").as_c_str(), c"a");
        assert_eq!(c_string("").as_c_str(), c"");
    }
}
