//! How a command fails: what happened and why, what to type, and the code from the one table.

use std::io::{self, Write};

use dbrewind_sqlite::{Code, Error, TargetError};
use serde::Serialize;

use crate::exit;
use crate::show;
use crate::wording;

/// Why a command was not carried out.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    text: String,
    fix: Option<String>,
}

impl Failure {
    /// A failure that no engine told.
    pub(crate) fn own(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), fix: None }
    }

    /// What to type instead of what the code suggests.
    pub(crate) fn with_fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// Of a rewind, which has two ways out that other commands have not. `named`: what it goes to was given as the name of a mark.
    pub(crate) fn of_rewind(mut self, named: bool) -> Self {
        let more = match self.code {
            Code::MarkLost | Code::BeforeWindow => "; --use-earliest goes back as far as is known",
            Code::MarkNotFound if !named => "; --mark TO is the mark of that name, whatever it reads as",
            _ => return self,
        };
        let fix = self.fix.take().or_else(|| fix_for(self.code).map(str::to_owned)).unwrap_or_default();
        self.fix = Some(format!("{fix}{more}"));
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn status(&self) -> u8 {
        exit::status_of(self.code)
    }

    pub(crate) fn print(&self, json: bool) -> io::Result<()> {
        let Self { code, text, .. } = self;
        let fix = self.fix.as_deref().or_else(|| fix_for(*code));
        if json {
            let error = Described { code: code.text(), title: code.title(), text, fix };
            let document = serde_json::to_string(&Failed { error, status: self.status() })?;
            return writeln!(anstream::stdout(), "{document}");
        }
        let bad = show::BAD;
        let mut err = anstream::stderr();
        writeln!(err, "{bad}dbrewind{bad:#}: [{code}] {}", show::plain(text))?;
        if let Some(fix) = fix {
            writeln!(err, "  fix: {}", show::plain(fix))?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Failed<'a> {
    error: Described<'a>,
    status: u8,
}

#[derive(Serialize)]
struct Described<'a> {
    code: &'a str,
    title: &'a str,
    text: &'a str,
    fix: Option<&'a str>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let said = wording::on_the_command_line(&error.to_string());
        // Their texts end with what helps, which depends on what is in the way.
        if let Error::Busy { .. } | Error::InUse { .. } = error
            && let Some((what, fix)) = said.rsplit_once("; ")
        {
            return Self::own(error.code(), what).with_fix(fix);
        }
        Self::own(error.code(), said)
    }
}

impl From<TargetError> for Failure {
    fn from(error: TargetError) -> Self {
        Error::from(error).into()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::own(Code::Io, format!("cannot write the result: {error}"))
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::own(Code::Internal, format!("a result has no JSON: {error}; please report this text"))
    }
}

/// What helps on the command line. The texts of the engine are for every language (`wording`).
fn fix_for(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::NotAttached => {
            "in a rollback journal mode every program that writes must record: `--journal wal` at the next `dbrewind mark` does away \
             with that. Marks from before are lost; set new ones"
        }
        Code::MarkNotFound => "`dbrewind list DATABASE` shows the marks",
        Code::Busy => "end that transaction, or wait longer: --timeout SECONDS",
        Code::MarkLost => "`dbrewind mark DATABASE NAME` sets a new mark",
        Code::BeforeWindow => "give a later time",
        Code::MarkExists => "`dbrewind drop DATABASE NAME` frees the name",
        Code::StoreFull => "free space, or raise the limit: `dbrewind mark DATABASE NAME --limit BYTES`",
        _ => return None,
    })
}
