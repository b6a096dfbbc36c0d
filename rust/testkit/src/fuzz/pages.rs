//! Target `diff`: two moments of a sound SQLite database are damaged as the input says, then compared.

use std::sync::OnceLock;

use dbrewind_sqlite::fuzzing::{differences, record};
use rusqlite::Connection;

use super::input::{Input, put};

const PAGE: usize = 512;
const MOST_STEPS: usize = 12;

/// Damages two moments as the bytes say, and compares them in both directions; or reads the bytes as a record.
pub fn diff(data: &[u8]) {
    let mut input = Input(data);
    let first = input.byte();
    if first % 8 == 7 {
        let encoding = u32::from(input.byte() % 4);
        return record(input.0, encoding);
    }
    let pairs = moments();
    let [mut old, mut new] = pairs[usize::from(first) % pairs.len()].clone();
    for _ in 0..MOST_STEPS {
        if input.0.is_empty() {
            break;
        }
        match input.byte() % 4 {
            0 => step(&mut input, &mut old),
            1 => step(&mut input, &mut new),
            // The same in both, which then is no difference.
            _ => {
                let mut again = Input(input.0);
                step(&mut again, &mut old);
                step(&mut input, &mut new);
            }
        }
    }
    let known = first & 8 != 0;
    let there = differences(&old, &new, known);
    let back = differences(&new, &old, known);
    assert_eq!(there.is_some(), back.is_some());
    if let (Some(there), Some(back)) = (there, back) {
        assert!(there.tables.keys().eq(back.tables.keys()));
        for (there, back) in there.tables.values().zip(back.tables.values()) {
            let counts = (there.inserted.len(), there.deleted.len(), there.updated.len());
            assert_eq!(counts, (back.deleted.len(), back.inserted.len(), back.updated.len()));
        }
    }
    let _ = differences(&old, &old, known);
}

/// One piece of damage.
fn step(input: &mut Input<'_>, bytes: &mut Vec<u8>) {
    let pages = bytes.len() / PAGE;
    let kind = input.byte() % 10;
    let page = input.below(pages) * PAGE;
    // The head of a page of a tree, and its first pointers; behind the database's own on page 1.
    let head = if page == 0 { 100 } else { page };
    let at = page + input.below(PAGE);
    match kind {
        0 => {
            let mask = input.byte();
            bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
        }
        1 => put(bytes, at, input.bytes(4)),
        2 => {
            let (from, piece) = (input.below(pages) * PAGE, input.byte());
            let piece: Vec<u8> = bytes.iter().skip(from).take(usize::from(piece) * 2).copied().collect();
            put(bytes, page, &piece);
        }
        3 => bytes.truncate(at),
        // The number of a page, where one may be: a child, the next one of a chain.
        4 => put(bytes, at, &[0, 0, 0, input.byte()]),
        5 => put(bytes, page, &[0, 0, 0, input.byte()]),
        6 => put(bytes, head, &[[2, 5, 10, 13][usize::from(input.byte() % 4)]]),
        7 => put(bytes, head + 3, input.bytes(2)),
        8 => put(bytes, head + 8 + 2 * usize::from(input.byte() % 16), input.bytes(2)),
        _ => put(bytes, 16 + usize::from(input.byte() % 84), input.bytes(4)),
    }
}

/// The moments that are damaged: tables with rowids, deep, with long values, a counter and free pages; one without rowids, of another
/// encoding; one of a database with pages of pointers.
fn moments() -> &'static [[Vec<u8>; 2]; 3] {
    static MOMENTS: OnceLock<[[Vec<u8>; 2]; 3]> = OnceLock::new();
    MOMENTS.get_or_init(|| {
        [
            two(
                "create table t(id integer primary key autoincrement, a, b); create index i on t(a); create table u(x); \
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < 80) \
                 insert into t(a, b) select i, hex(zeroblob(20 + i % 5)) from n; \
                 insert into u select zeroblob(700) from t where id < 5; insert into t(b) values (zeroblob(1500))",
                "update t set b = 'changed' where id % 9 = 0; delete from t where id between 30 and 40; delete from u where rowid = 2; \
                 update t set b = randomblob(1500) where id = 81; insert into t(a) values ('new'); pragma user_version=7",
            ),
            two(
                "pragma encoding='UTF-16le'; create table keys(x text, y integer, z, primary key(x, y)) without rowid; \
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < 60) \
                 insert into keys select 'key ' || (i % 7), i, 'value' from n; \
                 insert into keys values ('long', 1, hex(zeroblob(800)))",
                "update keys set z = 1.5 where y % 8 = 0; delete from keys where y > 50; insert into keys values ('new', -1, null)",
            ),
            two(
                "pragma auto_vacuum=full; create table t(id integer primary key, v); \
                 with recursive n(i) as (select 1 union all select i + 1 from n where i < 50) \
                 insert into t select i, zeroblob(60 + 500 * (i % 13 = 0)) from n",
                "delete from t where id < 10; update t set v = randomblob(560) where id = 26; create table v(a)",
            ),
        ]
    })
}

fn two(first: &str, then: &str) -> [Vec<u8>; 2] {
    let mut database = Connection::open_in_memory().expect("a database");
    let mut state = |sql: &str| {
        database.execute_batch(sql).expect("a statement");
        database.serialize("main").expect("its bytes").to_vec()
    };
    let found = [state(&format!("pragma page_size={PAGE}; {first}")), state(then)];
    assert!(found.iter().all(|bytes| bytes.len() > 4 * PAGE && bytes.get(16..18) == Some(&[2, 0])));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else the target would try nothing but refusals.
    #[test]
    fn what_is_damaged_is_sound_and_differs() {
        for [old, new] in moments() {
            for known in [false, true] {
                let found = differences(old, new, known).expect("sound");
                let table = found.tables.values().next().expect("a table that differs");
                assert!(!table.inserted.is_empty() || !table.deleted.is_empty(), "{found}");
                assert!(!table.updated.is_empty(), "{found}");
            }
            assert_eq!(
                differences(old, new, false).map(|diff| diff.tables),
                differences(old, new, true).map(|diff| diff.tables)
            );
        }
    }
}
