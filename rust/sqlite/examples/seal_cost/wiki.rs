//! A wiki: pages that are edited here and there, their revisions, comments, and a full-text index.

use rusqlite::{Connection, params};

use crate::random::Random;
use crate::text::Text;

const SCHEMA: &str = "
    CREATE TABLE page(id INTEGER PRIMARY KEY, title TEXT, text TEXT, edits INTEGER, changed INTEGER);
    CREATE TABLE revision(id INTEGER PRIMARY KEY, page INTEGER, at INTEGER, author TEXT, comment TEXT, size INTEGER);
    CREATE TABLE comment(id INTEGER PRIMARY KEY, page INTEGER, at INTEGER, author TEXT, text TEXT);
    CREATE INDEX revision_page ON revision(page);
    CREATE INDEX comment_page ON comment(page);
    CREATE VIRTUAL TABLE found USING fts5(title, text);";

/// A wiki that people write.
pub(crate) struct Wiki<'a> {
    app: &'a Connection,
    text: Text,
    random: Random,
    /// The pages' sentences.
    pages: Vec<Vec<String>>,
    now: u64,
}

impl<'a> Wiki<'a> {
    /// A wiki with so many pages, of 2 to 20 KiB.
    pub(crate) fn new(app: &'a Connection, pages: u64) -> Self {
        app.execute_batch(SCHEMA).unwrap();
        let (text, random) = (Text::new(), Random(4));
        let mut wiki = Self { app, text, random, pages: Vec::new(), now: 1_763_000_000 };
        app.execute_batch("BEGIN").unwrap();
        for _ in 0..pages {
            wiki.add();
        }
        app.execute_batch("COMMIT").unwrap();
        wiki
    }

    /// What happens next, in one transaction.
    pub(crate) fn step(&mut self) {
        self.app.execute_batch("BEGIN").unwrap();
        self.now += self.random.below(100);
        match self.random.below(20) {
            0..14 => self.edit(),
            14..19 => self.comment(),
            _ => self.add(),
        }
        self.app.execute_batch("COMMIT").unwrap();
    }

    fn add(&mut self) {
        let count = 25 + self.random.below(60) * self.random.below(4);
        let sentences = self.text.sentences(count, &mut self.random);
        let (title, whole) = (self.text.words(3, &mut self.random), sentences.concat());
        self.pages.push(sentences);
        let id = self.pages.len() as i64;
        self.run("INSERT INTO page VALUES(?1, ?2, ?3, 0, ?4)", params![id, title, whole, self.now as i64]);
        self.run("INSERT INTO found(rowid, title, text) VALUES(?1, ?2, ?3)", params![id, title, whole]);
        self.revision(id, whole.len());
    }

    /// One to four sentences are written anew, left out, or added. Some pages are edited more often than others.
    fn edit(&mut self) {
        let all = self.pages.len() as u64;
        let number = self.random.below(all).min(self.random.below(all)) as usize;
        let Some(page) = self.pages.get_mut(number) else { return };
        for _ in 0..1 + self.random.below(4) {
            let at = self.random.below(page.len() as u64) as usize;
            let sentence = self.text.sentence(&mut self.random) + " ";
            match self.random.below(5) {
                0 if page.len() > 10 => drop(page.remove(at)),
                1 => page.insert(at, sentence),
                _ => page.splice(at..=at, [sentence]).for_each(drop),
            }
        }
        let (id, whole) = (number as i64 + 1, page.concat());
        let sql = "UPDATE page SET text = ?2, edits = edits + 1, changed = ?3 WHERE id = ?1";
        self.run(sql, params![id, whole, self.now as i64]);
        self.run("UPDATE found SET text = ?2 WHERE rowid = ?1", params![id, whole]);
        self.revision(id, whole.len());
    }

    fn comment(&mut self) {
        let page = 1 + self.random.below(self.pages.len() as u64);
        let count = 1 + self.random.below(5);
        let text = self.text.sentences(count, &mut self.random).concat();
        let author = self.author();
        let sql = "INSERT INTO comment(page, at, author, text) VALUES(?1, ?2, ?3, ?4)";
        self.run(sql, params![page as i64, self.now as i64, author, text]);
    }

    fn revision(&mut self, page: i64, size: usize) {
        let author = self.author();
        let count = 2 + self.random.below(6);
        let comment = self.text.words(count, &mut self.random);
        let sql = "INSERT INTO revision(page, at, author, comment, size) VALUES(?1, ?2, ?3, ?4, ?5)";
        self.run(sql, params![page, self.now as i64, author, comment, size as i64]);
    }

    fn author(&mut self) -> String {
        format!("user{}", self.random.below(300).min(self.random.below(300)))
    }

    fn run(&self, sql: &str, values: &[&dyn rusqlite::ToSql]) {
        self.app.prepare_cached(sql).unwrap().execute(values).unwrap();
    }
}
