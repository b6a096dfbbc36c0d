//! What texts of the engine call an option, and what it is called here. They are written for every language, and name options as
//! Python does.

use std::borrow::Cow;

/// In this order: longer ones before what they contain.
const OPTIONS: [(&str, &str); 14] = [
    ("journal=\"wal\"", "--journal wal"),
    ("journal=\"delete\"", "--journal delete"),
    ("(use_earliest)", "(--use-earliest)"),
    ("use_earliest", "--use-earliest"),
    ("(pin=True)", "(--pin)"),
    ("(store=)", "(--store)"),
    ("store must name", "--store must name"),
    ("(limit=)", "(--limit)"),
    ("(window=)", "(--window)"),
    ("limit=", "--limit "),
    ("window=", "--window "),
    ("raise the timeout", "wait longer (--timeout SECONDS)"),
    ("or now() gave", "or `dbrewind status` gave"),
    ("db.clone(to, path)", "`dbrewind clone`"),
];

/// A text of the engine as the command line says it.
pub(crate) fn on_the_command_line(text: &str) -> String {
    let mut said = Cow::Borrowed(text);
    for (python, here) in OPTIONS {
        if said.contains(python) {
            said = Cow::Owned(said.replace(python, here));
        }
    }
    without_call(&said)
}

/// Without the Python call in brackets that frees a name: the fix says what to type.
fn without_call(text: &str) -> String {
    let found =
        text.split_once(" (drop(").and_then(|(before, rest)| Some((before, rest.split_once("))")?.1)));
    found.map_or_else(|| text.to_owned(), |(before, after)| format!("{before}{after}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dbrewind_sqlite::{Code, Error, Lsn};

    use super::*;

    /// What only Python has: a keyword with its value, a call.
    fn is_python(text: &str) -> bool {
        let calls = ["db.", "now()", "mark(", "rewind(", "drop(", "open(", "True", "use_earliest"];
        let keyword = |part: &str| part.ends_with(|c: char| c.is_ascii_lowercase());
        calls.iter().any(|call| text.contains(call)) || text.split('=').rev().skip(1).any(keyword)
    }

    #[test]
    fn no_text_speaks_python() {
        let mut texts: Vec<String> = Code::ALL.iter().map(|code| code.explanation().to_owned()).collect();
        let errors = [
            Error::Unreachable { what: "it is in a rollback mode".into() },
            Error::NoSuchMoment { lsn: Lsn::new(7) },
            Error::MarkExists { name: "a".into(), lost: true },
            Error::MarkExists { name: "a".into(), lost: false },
            Error::Busy { what: "somebody writes".into(), holder: None, waited: Duration::from_secs(1) },
            Error::Stopped {
                code: Code::StoreFull,
                why: "a higher limit, such as limit=2097152, and".into(),
            },
            Error::Invalid { what: "store must name a folder, or keep it in another place (store=)".into() },
            Error::Unsupported { what: "open with journal=\"delete\", and rewind then".into() },
        ];
        texts.extend(errors.iter().map(ToString::to_string));
        assert!(texts.iter().filter(|text| is_python(text)).count() > 6, "the test finds none");
        for text in texts {
            let said = on_the_command_line(&text);
            assert!(!is_python(&said), "{said}");
        }
    }

    #[test]
    fn a_number_is_typed_as_it_stands() {
        let said = on_the_command_line(
            "open it again with a higher limit, such as limit=2097152, and set new marks",
        );
        assert_eq!(said, "open it again with a higher limit, such as --limit 2097152, and set new marks");
        let taken = Error::MarkExists { name: "a) b".into(), lost: true }.to_string();
        assert!(on_the_command_line(&taken).ends_with("; drop it first, or choose another name"));
    }
}
