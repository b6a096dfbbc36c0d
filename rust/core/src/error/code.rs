use std::fmt;

/// One table makes the enum, its numbers and its texts, so that none of them can be forgotten.
macro_rules! codes {
    ($($number:literal $text:literal $name:ident: $title:literal, $explanation:literal;)+) => {
        /// The stable number of an error: `DBR001`, `DBR002`, ...
        ///
        /// Numbers never change their meaning and are never used again; those that are left out are set
        /// aside. Every error of every `dbrewind` crate answers one with `code()`; the text of the error says
        /// what happened this time, the code's [explanation](Code::explanation) what it means and what helps.
        ///
        /// ```
        /// use dbrewind_core::Code;
        /// assert_eq!(Code::StoreFull.number(), 10);
        /// assert_eq!(Code::StoreFull.to_string(), "DBR010");
        /// assert_eq!(Code::from_number(10), Some(Code::StoreFull));
        /// ```
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = concat!($title, ". ", $explanation)] $name = $number,)+
        }

        impl Code {
            /// Every code, by number.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The code's text, `DBR001`.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }

            /// A few words for a list.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)+ }
            }

            /// What it means, and what helps.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation,)+ }
            }

            /// The code with this number, or `None` for a number of no known code.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$name),)+ _ => None }
            }
        }
    };
}

codes! {
    1 "DBR001" NotAttached: "A write bypassed the recording",
        "Something wrote to the database without being recorded, so what happened is not known. Attach \
         before the first write, and let no program without the recording write in a rollback mode.";
    2 "DBR002" Unreachable: "This SQLite cannot be reached",
        "The SQLite inside this process hides its symbols, or there are several. There are three ways: WAL mode \
         (journal=\"wal\"), which a process of its own can record; a program, or a Python, whose SQLite is a shared \
         library; or dbrewind's extension in the SQLite that writes, and a recording by another process.";
    3 "DBR003" MarkNotFound: "No such mark",
        "The store has no mark of that name. List the marks; names are compared byte for byte.";
    4 "DBR004" Busy: "Somebody else holds what is needed",
        "Another connection has an open transaction, or another rewind is running. End it, or raise the \
         timeout.";
    // 5 to 9 are set aside: for servers with a binary log (5, 6), for guards of a test harness (7, 8, 9).
    10 "DBR010" StoreFull: "The store cannot grow",
        "The disk is full, or the store has reached its limit. Writes of the application go on, unrecorded. \
         Free space, or raise the limit (limit=), then open the recording again.";
    11 "DBR011" MarkLost: "The mark can no longer be reached",
        "Recording began anew after this mark: it had been closed, killed, stopped or bypassed, and something may have been written \
         unrecorded, so what lies between is not known. Set a new mark.";
    12 "DBR012" FileMissing: "A file is missing",
        "The database or its store is not where it should be. Check the path.";
    13 "DBR013" NotADatabase: "Not a database",
        "The file does not begin as a database of this kind does. Check the path.";
    14 "DBR014" NotWritable: "No permission to write",
        "The database, its store or their folder cannot be written. Check owner, mode and mount.";
    15 "DBR015" StoreDamaged: "The store is damaged",
        "Bytes of the store are not what was written. Nothing was changed. The database itself is not \
         affected: close the recording, remove the store folder, and record anew.";
    16 "DBR016" StoreVersion: "The store has another format version",
        "A different version of dbrewind wrote this store. Use that version, or remove the store folder.";
    17 "DBR017" TwoSqlites: "Two SQLite libraries in one process",
        "Two copies of SQLite in one process destroy each other's file locks. Open the database through \
         one of them only, or record it through the keeper.";
    18 "DBR018" FileReplaced: "The database file was replaced",
        "At this path is now a different file than the one recorded, or none. Open the recording again.";
    19 "DBR019" Closed: "Already closed",
        "The handle was closed before this call. Open a new one.";
    20 "DBR020" Forked: "The process was forked",
        "Locks do not pass to a child process. Open a handle of its own in the child.";
    21 "DBR021" Unsupported: "Not supported",
        "This kind of database or change cannot be recorded.";
    22 "DBR022" InvalidArgument: "An argument is not valid",
        "The text says which one, and what would be.";
    23 "DBR023" MarkExists: "The mark already exists",
        "Choose another name, or drop the mark first.";
    24 "DBR024" KeeperFailed: "The keeper process failed",
        "The helper process that records could not be started, or ended. Its own text is in the error.";
    25 "DBR025" Io: "Reading or writing failed",
        "The operating system refused. Its own text is in the error.";
    26 "DBR026" Interrupted: "The call was interrupted",
        "The caller asked to end it while it waited for somebody else. Nothing was changed.";
    27 "DBR027" BeforeWindow: "Before the earliest moment that can be reached",
        "The history does not go back so far: recording began later or was interrupted, or what was older left the window. The \
         text names the earliest time; use that one or a later one, or have a rewind go to the earliest moment (use_earliest). To keep more, \
         raise the target (window=) or the limit (limit=), or pin the marks that must stay (pin=True).";
    99 "DBR099" Internal: "A defect in dbrewind",
        "This should not happen. Please report it with the text.";
}

impl Code {
    /// The number alone, 1 for `DBR001`.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_agree() {
        for code in Code::ALL {
            assert_eq!(code.text(), format!("DBR{:03}", code.number()));
            assert_eq!(Code::from_number(code.number()), Some(*code));
            assert!(!code.title().is_empty() && !code.title().ends_with('.'));
            assert!(code.explanation().ends_with('.'));
        }
        assert_eq!(Code::from_number(0), None);
    }
}
