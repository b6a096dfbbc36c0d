use std::fmt::Write;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::event::State;
use crate::peer::Peer;
use crate::protocol::{Answer, Request};
use crate::seed::Rng;

/// The tables every state is checked by.
pub(crate) const SCHEMA: &str = "
    create table t(id integer primary key, v);
    create index tv on t(v);
    create table state(one integer primary key check(one = 1), head text, sum text);
    insert into state values(1, 'origin', '')";

/// Changes content and leaves head and hash, up to just before the commit.
pub(crate) fn change(peer: &mut Peer, rng: &mut Rng, head: &str) -> Result<(), Answer> {
    let mut sql = String::from("begin immediate");
    for _ in 0..=rng.below(4) {
        let (from, factor) = (rng.below(300), rng.below(1 << 30));
        let _infallible = match rng.below(10) {
            0..5 => write!(
                sql,
                "; insert or replace into t with recursive n(i) as (select {from} union all select i + 1 from n \
                 where i < {}) select i, printf('%d %.*c', i * {factor}, (i * {factor}) % {}, 'x') from n",
                from + rng.below(20),
                1 + rng.below(900)
            ),
            5..7 => {
                write!(sql, "; update t set v = v || '{factor}' where id between {from} and {}", from + 9)
            }
            7..9 => write!(sql, "; delete from t where id between {from} and {}", from + rng.below(30)),
            _ => write!(
                sql,
                "; drop table if exists e{}; create table e{}(a, b unique); insert into e{} values(1, {factor})",
                factor % 3,
                factor % 3,
                factor % 3
            ),
        };
    }
    let done = peer.sql(&sql);
    if matches!(done, Answer::Failed { .. }) {
        let _none = peer.sql("rollback");
        return Err(done);
    }
    let sum = sum(peer);
    peer.must(&format!("update state set head = '{head}', sum = '{sum}'"));
    Ok(())
}

/// Hash of all content but the state's own row.
pub(crate) fn sum(peer: &mut Peer) -> String {
    let mut text = String::new();
    for row in peer.must("select id, v from t order by id") {
        text += &row.join("=");
        text.push('\n');
    }
    for row in peer.must("select sql from sqlite_schema order by name") {
        text += &row.join("=");
    }
    format!("{:016x}", xxh3_64(text.as_bytes()))
}

/// Looks at a database through a connection of its own each time.
///
/// One that stays connected may have other free pages in its cache than there are in the file.
pub(crate) struct Eye {
    peer: Peer,
    path: PathBuf,
    wal: bool,
}

impl Eye {
    /// An eye on this database.
    pub(crate) fn new(peer: Peer, path: &Path, wal: bool) -> Self {
        Self { peer, path: path.to_owned(), wal }
    }

    /// The present state, from one transaction.
    pub(crate) fn state(&mut self) -> State {
        self.peer.open_as(&self.path, 10_000, None, true).ok();
        self.peer.must("begin");
        let head = self.peer.must("select head from state").remove(0).remove(0);
        let answer = self.peer.ask(Request::Image { dump: None });
        self.peer.must("commit");
        self.peer.ask(Request::Close).ok();
        match answer {
            // In rollback modes a dead transaction may have changed free pages in place.
            Answer::Pages { digest, live, .. } => {
                State { head, digest: if self.wal { digest } else { live } }
            }
            other => panic!("{}: {other:?}", self.peer.name),
        }
    }
}

/// Checks that the database is sound and in a state that somebody committed; its head.
pub(crate) fn check(peer: &mut Peer) -> Result<String, String> {
    let sound = peer.sql("pragma integrity_check");
    match &sound {
        Answer::Rows { rows } if *rows == [["ok"]] => {}
        other => return Err(format!("integrity_check: {other:?}")),
    }
    let rows = peer.must("select head, sum from state");
    let (head, noted) = (rows[0][0].clone(), rows[0][1].clone());
    let found = sum(peer);
    if head != "origin" && noted != found {
        return Err(format!("content of {head} is {found}, committed was {noted}"));
    }
    Ok(head)
}
