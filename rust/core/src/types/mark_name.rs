use std::fmt;

/// The longest mark name, in bytes of UTF-8.
const MAX_LEN: usize = 255;

/// The name of a mark: 1 to 255 bytes of UTF-8 without control characters.
///
/// ```
/// use dbrewind_core::MarkName;
/// assert_eq!(MarkName::new("seeded")?.as_str(), "seeded");
/// assert!(MarkName::new("").is_err());
/// # Ok::<(), dbrewind_core::MarkNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MarkName(Box<str>);

/// Why a text cannot name a mark.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MarkNameError {
    /// The text is empty.
    #[error("a mark name cannot be empty")]
    Empty,
    /// The text is longer than 255 bytes.
    #[error("a mark name has at most {MAX_LEN} bytes, this one has {len}")]
    TooLong {
        /// Length of the refused text, in bytes.
        len: usize,
    },
    /// The text has a control character, which no terminal or log could show.
    #[error("a mark name cannot contain the control character {found:?}")]
    Control {
        /// The first such character.
        found: char,
    },
}

impl MarkName {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// When the text is empty, longer than 255 bytes, or has a control character.
    pub fn new(name: &str) -> Result<Self, MarkNameError> {
        if name.is_empty() {
            return Err(MarkNameError::Empty);
        }
        if name.len() > MAX_LEN {
            return Err(MarkNameError::TooLong { len: name.len() });
        }
        if let Some(found) = name.chars().find(|c| c.is_control()) {
            return Err(MarkNameError::Control { found });
        }
        Ok(Self(name.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MarkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
