//! What a call of the C interface fails with: a code, a text, and details for programs.

use dbrewind_sqlite::Code;

/// One error, before it becomes an object of the caller's.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) text: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Fault {
    pub(crate) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), fields: Vec::new() }
    }

    /// `DBR022`.
    pub(crate) fn invalid(text: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, text)
    }

    /// What a panic becomes. It has said more on standard error.
    pub(crate) fn of_panic(panic: &(dyn std::any::Any + Send)) -> Self {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no words");
        Self::new(Code::Internal, format!("a defect in dbrewind, please report it: {said}"))
    }
}

impl From<dbrewind_keeper::Error> for Fault {
    fn from(error: dbrewind_keeper::Error) -> Self {
        Self { code: error.code(), text: error.to_string(), fields: error.fields() }
    }
}

impl From<dbrewind_sqlite::Error> for Fault {
    fn from(error: dbrewind_sqlite::Error) -> Self {
        dbrewind_keeper::Error::from(error).into()
    }
}

impl From<dbrewind_sqlite::TargetError> for Fault {
    fn from(error: dbrewind_sqlite::TargetError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<dbrewind_volume::Error> for Fault {
    fn from(error: dbrewind_volume::Error) -> Self {
        use dbrewind_volume::Error;
        let mut fields = Vec::new();
        match &error {
            Error::MarkNotFound { name, nearest } => {
                fields.push(("name".to_owned(), name.clone()));
                fields.extend(nearest.clone().map(|near| ("nearest".to_owned(), near)));
            }
            Error::MarkExists { name } => fields.push(("name".to_owned(), name.clone())),
            Error::Busy { waited, .. } => {
                fields.push(("waited".to_owned(), waited.as_secs_f64().to_string()));
            }
            _ => {}
        }
        Self { code: error.code(), text: error.to_string(), fields }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_quoted() {
        let panic = std::panic::catch_unwind(|| panic!("of {}", 7)).unwrap_err();
        let fault = Fault::of_panic(&*panic);
        assert!(fault.code == Code::Internal && fault.text.ends_with("of 7"), "{fault:?}");
    }
}
