//! Records and their values (SQLite's file format, "Record Format").

use std::fmt;

use super::btree::varint;

/// A value of a key.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// NULL.
    Null,
    /// An integer; a rowid is one.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// A text; what is not of its encoding is replaced.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Real(number) => write!(f, "{number:?}"),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Blob(bytes) => {
                f.write_str("x'")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("'")
            }
        }
    }
}

/// The first values of a record, at most `most`, and how they were written. `None`: it is not one.
pub(super) fn values(record: &[u8], most: usize, encoding: u32) -> Option<(Vec<Value>, Vec<u8>)> {
    let (head, mut at) = varint(record)?;
    let head = usize::try_from(head).ok()?;
    let (mut body, mut values, mut raw) = (head, Vec::new(), Vec::new());
    while at < head && values.len() < most {
        let (kind, used) = varint(record.get(at..head)?)?;
        at += used;
        let len = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            long => usize::try_from((long - 12) / 2).ok()?,
        };
        let bytes = record.get(body..body.checked_add(len)?)?;
        body += len;
        raw.extend_from_slice(&kind.to_be_bytes());
        raw.extend_from_slice(bytes);
        values.push(match kind {
            0 => Value::Null,
            1..=6 => Value::Integer(integer(bytes)),
            7 => Value::Real(f64::from_bits(integer(bytes).cast_unsigned())),
            8 => Value::Integer(0),
            9 => Value::Integer(1),
            blob if blob % 2 == 0 => Value::Blob(bytes.to_vec()),
            _ => Value::Text(text(bytes, encoding)),
        });
    }
    Some((values, raw))
}

/// Big-endian, of 1 to 8 bytes.
fn integer(bytes: &[u8]) -> i64 {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    bytes.iter().fold(if negative { -1 } else { 0 }, |value, byte| value << 8 | i64::from(*byte))
}

fn text(bytes: &[u8], encoding: u32) -> String {
    let wide =
        |pair: [u8; 2]| if encoding == 2 { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) };
    match encoding {
        2 | 3 => {
            let units: Vec<u16> = bytes.as_chunks::<2>().0.iter().map(|pair| wide(*pair)).collect();
            String::from_utf16_lossy(&units)
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_are_read() {
        let record = [
            &[10, 0, 1, 2, 6, 7, 8, 9, 16, 17][..],
            &[0xff],
            &[1, 0],
            &(-3_i64).to_be_bytes(),
            &1.5_f64.to_be_bytes(),
            b"ab",
            "ü".as_bytes(),
        ]
        .concat();
        let (found, _) = values(&record, 99, 1).unwrap();
        assert_eq!(
            found,
            [
                Value::Null,
                Value::Integer(-1),
                Value::Integer(256),
                Value::Integer(-3),
                Value::Real(1.5),
                Value::Integer(0),
                Value::Integer(1),
                Value::Blob(b"ab".to_vec()),
                Value::Text("ü".into()),
            ]
        );
        assert_eq!(values(&record, 2, 1).unwrap().0.len(), 2);
        assert_eq!(values(&record[..12], 99, 1), None);
        assert_eq!(text(&[0x41, 0, 0x42, 0], 2), "AB");
        assert_eq!(text(&[0, 0x41], 3), "A");
    }
}
