//! The body of an `OBJECT` record.

use crate::format::bytes::u32_at;

const NAME: usize = 8;

/// What an object is called, and how long its items' images are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ObjectBody {
    /// In bytes; 0 where they differ.
    pub(crate) key_size: u32,
    /// Unique together with the key size.
    pub(crate) name: String,
}

impl ObjectBody {
    /// The body's bytes.
    #[must_use]
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(NAME + self.name.len());
        bytes.extend_from_slice(&self.key_size.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(self.name.as_bytes());
        bytes
    }

    /// Reads a body; `None` when it is not one.
    #[must_use]
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let key_size = u32_at(bytes, 0)?;
        let name = std::str::from_utf8(bytes.get(NAME..)?).ok()?.to_owned();
        (u32_at(bytes, 4)? == 0).then_some(Self { key_size, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bodies_round_trip(key_size: u32, name in ".*") {
            let body = ObjectBody { key_size, name };
            prop_assert_eq!(ObjectBody::decode(&body.encode()), Some(body));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Some(body) = ObjectBody::decode(&bytes) {
                prop_assert_eq!(body.encode(), bytes);
            }
        }
    }
}
