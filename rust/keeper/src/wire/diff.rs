use dbrewind_sqlite::{Altered, CounterDiff, Diff, Lsn, SchemaChange, TableDiff, Value};

use super::fields::{put_bytes, put_u32, put_u64};
use super::{Fields, WireError};

/// Bytes of a change of the schema with empty texts.
const LEAST_CHANGE: usize = 9;
/// Bytes of a table with an empty name and no rows.
const LEAST_TABLE: usize = 16;
/// Bytes of a counter with an empty name.
const LEAST_COUNTER: usize = 6;
/// Bytes of a key without values.
const LEAST_KEY: usize = 4;
/// Bytes of a NULL.
const LEAST_VALUE: usize = 1;

pub(super) fn put_diff(out: &mut Vec<u8>, diff: &Diff) {
    let Diff { from, to, schema, tables, counters, pages_read } = diff;
    put_u64(out, from.get());
    put_u64(out, to.get());
    put_count(out, schema.len());
    for SchemaChange { kind, name, how } in schema {
        put_bytes(out, kind.as_bytes());
        put_bytes(out, name.as_bytes());
        out.push(match how {
            Altered::Created => 0,
            Altered::Dropped => 1,
            Altered::Changed => 2,
        });
    }
    put_count(out, tables.len());
    for (name, TableDiff { inserted, deleted, updated }) in tables {
        put_bytes(out, name.as_bytes());
        for keys in [inserted, deleted, updated] {
            put_count(out, keys.len());
            for key in keys {
                put_count(out, key.len());
                key.iter().for_each(|value| put_value(out, value));
            }
        }
    }
    put_count(out, counters.len());
    for (name, CounterDiff { before, after }) in counters {
        put_bytes(out, name.as_bytes());
        for number in [before, after] {
            put_value(out, &number.map_or(Value::Null, Value::Integer));
        }
    }
    put_u64(out, *pages_read);
}

pub(super) fn take_diff(fields: &mut Fields<'_>) -> Result<Diff, WireError> {
    let (from, to) = (Lsn::new(fields.u64()?), Lsn::new(fields.u64()?));
    let schema = fields.list(LEAST_CHANGE, |fields| {
        Ok(SchemaChange {
            kind: fields.text()?,
            name: fields.text()?,
            how: match fields.u8()? {
                0 => Altered::Created,
                1 => Altered::Dropped,
                2 => Altered::Changed,
                found => {
                    return Err(WireError::Value { what: "how the schema differs", found: found.into() });
                }
            },
        })
    })?;
    let tables = fields.list(LEAST_TABLE, |fields| Ok((fields.text()?, take_table(fields)?)))?;
    if !tables.is_sorted_by(|(one, _), (next, _)| one < next) {
        return Err(WireError::Order { what: "the tables that differ" });
    }
    let counters = fields.list(LEAST_COUNTER, |fields| {
        let name = fields.text()?;
        Ok((name, CounterDiff { before: take_number(fields)?, after: take_number(fields)? }))
    })?;
    if !counters.is_sorted_by(|(one, _), (next, _)| one < next) {
        return Err(WireError::Order { what: "the counters that differ" });
    }
    Ok(Diff {
        from,
        to,
        schema,
        tables: tables.into_iter().collect(),
        counters: counters.into_iter().collect(),
        pages_read: fields.u64()?,
    })
}

fn take_number(fields: &mut Fields<'_>) -> Result<Option<i64>, WireError> {
    match take_value(fields)? {
        Value::Null => Ok(None),
        Value::Integer(number) => Ok(Some(number)),
        _ => Err(WireError::Value { what: "a counter", found: 0 }),
    }
}

fn take_table(fields: &mut Fields<'_>) -> Result<TableDiff, WireError> {
    Ok(TableDiff { inserted: take_keys(fields)?, deleted: take_keys(fields)?, updated: take_keys(fields)? })
}

fn take_keys(fields: &mut Fields<'_>) -> Result<Vec<Vec<Value>>, WireError> {
    fields.list(LEAST_KEY, |fields| fields.list(LEAST_VALUE, take_value))
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Integer(number) => {
            out.push(1);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Real(number) => {
            out.push(2);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Text(text) => {
            out.push(3);
            put_bytes(out, text.as_bytes());
        }
        Value::Blob(bytes) => {
            out.push(4);
            put_bytes(out, bytes);
        }
    }
}

fn take_value(fields: &mut Fields<'_>) -> Result<Value, WireError> {
    Ok(match fields.u8()? {
        0 => Value::Null,
        1 => Value::Integer(i64::from_le_bytes(fields.array()?)),
        2 => Value::Real(fields.f64()?),
        3 => Value::Text(fields.text()?),
        4 => Value::Blob(fields.bytes()?.to_vec()),
        found => return Err(WireError::Value { what: "the kind of a value", found: found.into() }),
    })
}

/// More than fit into the number are more than fit into a frame, which is refused.
fn put_count(out: &mut Vec<u8>, count: usize) {
    put_u32(out, u32::try_from(count).unwrap_or(u32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff() -> Diff {
        let all = vec![
            Value::Null,
            Value::Integer(-7),
            Value::Real(0.5),
            Value::Text("ä".into()),
            Value::Blob(vec![0, 255]),
        ];
        let change = |name: &str, how| SchemaChange { kind: "table".to_owned(), name: name.to_owned(), how };
        let mixed = TableDiff {
            inserted: vec![all, Vec::new()],
            deleted: vec![vec![Value::Integer(i64::MIN)]],
            updated: Vec::new(),
        };
        let none = TableDiff::default();
        Diff {
            from: Lsn::new(3),
            to: Lsn::new(u64::MAX),
            schema: vec![
                change("a", Altered::Created),
                change("", Altered::Dropped),
                change("c", Altered::Changed),
            ],
            tables: [("a".to_owned(), mixed), ("b".to_owned(), none)].into(),
            counters: [
                ("a".to_owned(), CounterDiff { before: None, after: Some(-1) }),
                ("c".to_owned(), CounterDiff { before: Some(i64::MAX), after: None }),
            ]
            .into(),
            pages_read: 5,
        }
    }

    fn written(diff: &Diff) -> Vec<u8> {
        let mut out = Vec::new();
        put_diff(&mut out, diff);
        out
    }

    #[test]
    fn a_diff_comes_back() {
        let out = written(&diff());
        let mut fields = Fields::new(&out);
        assert_eq!(take_diff(&mut fields), Ok(diff()));
        assert_eq!(fields.end(), Ok(()));
    }

    #[test]
    fn a_cut_diff_is_refused() {
        let out = written(&diff());
        for len in 0..out.len() {
            assert_eq!(take_diff(&mut Fields::new(&out[..len])), Err(WireError::Short), "{len} bytes");
        }
    }

    #[test]
    fn tables_out_of_order_are_refused() {
        let mut out = written(&diff());
        let last = out.iter().rposition(|byte| *byte == b'b').unwrap();
        out[last] = b'a';
        let refused = take_diff(&mut Fields::new(&out));
        assert_eq!(refused, Err(WireError::Order { what: "the tables that differ" }));
    }

    #[test]
    fn the_shortest_parts_are_as_long_as_said() {
        let empty = Diff {
            from: Lsn::new(0),
            to: Lsn::new(0),
            schema: Vec::new(),
            tables: [].into(),
            counters: [].into(),
            pages_read: 0,
        };
        let long = written(&empty).len();
        let change = SchemaChange { kind: String::new(), name: String::new(), how: Altered::Created };
        let one = Diff { schema: vec![change], ..empty.clone() };
        assert_eq!(written(&one).len() - long, LEAST_CHANGE);
        let one = Diff { tables: [(String::new(), TableDiff::default())].into(), ..empty.clone() };
        assert_eq!(written(&one).len() - long, LEAST_TABLE);
        let one = Diff { counters: [(String::new(), CounterDiff::default())].into(), ..empty };
        assert_eq!(written(&one).len() - long, LEAST_COUNTER);
    }
}
