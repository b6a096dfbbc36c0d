//! Eras that begin at a rewind in WAL mode, above frames that nobody has brought into the database file, at chosen moments: with files that
//! were cut or have grown above the file, readers, copies of old moments, and restarts of the recording in between.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "functions of a test")]

use std::path::PathBuf;
use std::time::Duration;

use dbrewind_core::{Clock, Cursor, Head, Kind, Lsn, ManualClock, Store, StoreOptions, Timestamp};
use dbrewind_sqlite::{Code, Database, MarkState, OpenOptions, SqliteApi, Synchronous, Target};
use rusqlite::Connection;

const HOUR: Duration = Duration::from_secs(3600);

/// A database whose clock goes when it is told to: an era is due after an hour.
struct Scene {
    dir: tempfile::TempDir,
    clock: ManualClock,
    wal_limit: u64,
}

impl Scene {
    fn new(page_size: u32, auto_vacuum: &str) -> (Self, Connection) {
        let clock = ManualClock::new(Timestamp::new(1_800_000_000_000_000_000));
        let scene = Self { dir: tempfile::tempdir().unwrap(), clock, wal_limit: 64 << 20 };
        let app = scene.connect();
        app.execute_batch(&format!(
            "PRAGMA page_size={page_size}; PRAGMA auto_vacuum={auto_vacuum}; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;
             CREATE TABLE t(id INTEGER PRIMARY KEY, x)"
        ))
        .unwrap();
        (scene, app)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("app.db")
    }

    fn connect(&self) -> Connection {
        let app = Connection::open(self.path()).unwrap();
        app.busy_timeout(Duration::from_secs(20)).unwrap();
        app.execute_batch("PRAGMA synchronous=OFF; PRAGMA wal_autocheckpoint=0").unwrap();
        app
    }

    fn record(&self) -> Database {
        let options = OpenOptions {
            synchronous: Synchronous::Off,
            window: Some(16 * HOUR),
            clock: Clock::Manual(self.clock.clone()),
            wal_limit: self.wal_limit,
            ..OpenOptions::default()
        };
        Database::open(SqliteApi::bundled(), &self.path(), &options).unwrap()
    }

    /// How many eras began above frames: with a base in the same piece of the log.
    fn eras_above(&self) -> usize {
        let store = Store::open(&self.dir.path().join("app.db-rewind"), &StoreOptions::default()).unwrap();
        let (mut above, mut last) = (0, None);
        let mut visit = |head: Head, _, _| {
            above += usize::from(head.kind == Kind::Base && last == Some(head.lsn));
            last = (head.kind == Kind::Era).then_some(head.lsn);
        };
        store.scan(&mut Cursor::default(), &mut visit).unwrap();
        above
    }

    /// Rewinds to the mark until an era has begun there.
    fn era_at(&self, db: &Database, app: &Connection, mark: &str) {
        let before = self.eras_above();
        for _ in 0..20 {
            // The tail leaves the next era to a rewind.
            app.execute("INSERT INTO t(x) VALUES('more')", []).unwrap();
            db.rewind(&Target::from(mark), None).unwrap();
            app.execute("INSERT INTO t(x) VALUES('more')", []).unwrap();
            self.clock.advance(HOUR + HOUR / 4);
            db.rewind(&Target::from(mark), None).unwrap();
            if self.eras_above() > before {
                return;
            }
        }
        panic!("no era began above frames");
    }
}

fn fill(app: &Connection, ids: std::ops::Range<i64>, length: i64) {
    let tx = app.unchecked_transaction().unwrap();
    for id in ids {
        app.execute("INSERT OR REPLACE INTO t VALUES(?1, randomblob(?2))", [id, length]).unwrap();
    }
    tx.commit().unwrap();
}

fn known(db: &Database) -> (Target, [u8; 16]) {
    (Target::Lsn(db.now().unwrap()), db.digest().unwrap())
}

fn expect(db: &Database, what: &str, moments: &[(Target, [u8; 16])]) {
    for (moment, digest) in moments {
        assert_eq!(db.at(moment).unwrap().digest().unwrap(), *digest, "{what}: {moment:?} beside it");
    }
    for (moment, digest) in moments {
        db.rewind(moment, None).unwrap();
        assert_eq!(db.digest().unwrap(), *digest, "{what}: {moment:?}");
    }
}

/// Pages that were cut off above the file are in it still, and only there: moments from before the cut need them.
#[test]
fn hazard_a_mark_behind_a_cut_that_is_not_in_the_file() {
    for (page_size, cut) in [
        (4096, "PRAGMA incremental_vacuum"),
        (512, "PRAGMA incremental_vacuum"),
        (65536, "PRAGMA incremental_vacuum"),
        (4096, "VACUUM"),
    ] {
        let (scene, app) = Scene::new(page_size, "incremental");
        fill(&app, 0..40, i64::from(page_size));
        // All of it in the database file: of these pages the store knows nothing.
        app.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
        let db = scene.record();
        let mut moments = vec![known(&db)];
        let open = db.at(&moments[0].0).unwrap();
        app.execute("DELETE FROM t WHERE id >= 20", []).unwrap();
        moments.push(known(&db));
        app.execute_batch(cut).unwrap();
        db.mark("small").unwrap();
        moments.push(known(&db));
        scene.era_at(&db, &app, "small");
        assert_eq!(open.digest().unwrap(), moments[0].1, "{page_size} {cut}: a view from before");
        expect(&db, cut, &moments);
        // And once the file is short.
        db.rewind(&Target::from("small"), None).unwrap();
        drop(app);
        db.close().unwrap();
        let db = scene.record();
        expect(&db, cut, &moments);
    }
}

/// What the database has grown by is not in the file when the era begins, and gone, or other, by the time that somebody asks.
#[test]
fn hazard_a_mark_past_the_end_of_the_file() {
    let (scene, app) = Scene::new(4096, "incremental");
    fill(&app, 0..5, 3000);
    app.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let db = scene.record();
    let mut moments = vec![known(&db)];
    fill(&app, 5..60, 3000);
    db.mark("grown").unwrap();
    moments.push(known(&db));
    scene.era_at(&db, &app, "grown");
    moments.push(known(&db));
    fill(&app, 0..90, 2900);
    moments.push(known(&db));
    app.execute_batch("DELETE FROM t WHERE id >= 3; PRAGMA incremental_vacuum").unwrap();
    db.mark("short").unwrap();
    moments.push(known(&db));
    scene.era_at(&db, &app, "short");
    expect(&db, "grown", &moments);
    drop(app);
    db.close().unwrap();
    expect(&scene.record(), "grown, opened again", &moments);
}

struct Dice(u64);

impl Dice {
    fn below(&mut self, upto: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % upto
    }
}

fn change(app: &Connection, dice: &mut Dice, page_size: i64) {
    let (id, many) = (dice.below(60) as i64, 1 + dice.below(25) as i64);
    match dice.below(10) {
        0..=4 => fill(app, id..id + many, dice.below(page_size as u64 * 2) as i64),
        5 => drop(app.execute("DELETE FROM t WHERE id BETWEEN ?1 AND ?2", [id, id + 2 * many]).unwrap()),
        6 => app.execute_batch("PRAGMA incremental_vacuum(12)").unwrap(),
        7 => app.execute_batch("PRAGMA incremental_vacuum").unwrap(),
        8 => app
            .execute_batch(
                "BEGIN; CREATE TABLE u AS SELECT randomblob(900) AS y FROM t; DROP TABLE IF EXISTS v;
                 ALTER TABLE u RENAME TO v; COMMIT",
            )
            .unwrap(),
        _ => {
            // Frames that are copied ahead, and come to nothing.
            app.execute_batch("PRAGMA cache_size=5; BEGIN").unwrap();
            app.execute("UPDATE t SET x = randomblob(?1)", [page_size]).unwrap();
            app.execute_batch("ROLLBACK; PRAGMA cache_size=-2000").unwrap();
        }
    }
}

/// A moment that is not evicted is what it was.
fn beside(db: &Database, lsn: Lsn, digest: [u8; 16], what: &str) {
    match db.at(&Target::Lsn(lsn)).and_then(|at| at.digest()) {
        Err(error) if error.code() == Code::BeforeWindow => {}
        there => assert_eq!(there.unwrap(), digest, "{what}: {lsn:?} beside it"),
    }
}

fn storm(seed: u64, rounds: u64) -> usize {
    let mut dice = Dice(seed);
    let page_size = [512, 1024, 4096, 4096, 65536][dice.below(5) as usize];
    let auto_vacuum = ["incremental", "full", "none"][dice.below(3) as usize];
    let (mut scene, mut app) = Scene::new(page_size, auto_vacuum);
    scene.wal_limit =
        [64 << 20, 40 * u64::from(page_size), 300 * u64::from(page_size)][dice.below(3) as usize];
    let what = format!("seed {seed}: {page_size} {auto_vacuum} {}", scene.wal_limit);
    fill(&app, 0..50, i64::from(page_size));
    if dice.below(2) == 0 {
        app.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    }
    let mut db = scene.record();
    let mut moments: Vec<(Lsn, [u8; 16])> = vec![(db.now().unwrap(), db.digest().unwrap())];
    db.mark("m0").unwrap();
    let mut marks = vec![("m0".to_owned(), moments[0].1)];
    let mut readers = Vec::new();
    for round in 0..rounds {
        for _ in 0..1 + dice.below(3) {
            change(&app, &mut dice, i64::from(page_size));
            if dice.below(3) == 0 {
                moments.push((db.now().unwrap(), db.digest().unwrap()));
            }
        }
        moments.push((db.now().unwrap(), db.digest().unwrap()));
        match dice.below(14) {
            0 | 1 => {
                let name = format!("m{}", round + 1);
                db.mark(&name).unwrap();
                marks.push((name, db.digest().unwrap()));
            }
            2 => {
                let open = scene.connect();
                open.execute_batch("BEGIN").unwrap();
                open.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
                readers.push(open);
            }
            3 | 4 => readers.clear(),
            // The tail does what it finds to do.
            5 => std::thread::sleep(Duration::from_millis(dice.below(150))),
            6 if dice.below(3) == 0 => {
                readers.clear();
                drop(app);
                db.close().unwrap();
                db = scene.record();
                app = scene.connect();
                assert!(db.marks().unwrap().iter().all(|mark| mark.state != MarkState::Lost), "{what}");
            }
            7 => {
                let (lsn, digest) = moments[dice.below(moments.len() as u64) as usize];
                beside(&db, lsn, digest, &format!("{what}: round {round}"));
            }
            8 => drop(app.query_row("PRAGMA wal_checkpoint", [], |row| row.get::<_, i64>(0)).unwrap()),
            _ => {}
        }
        if dice.below(3) == 0 {
            scene.clock.advance(HOUR + Duration::from_secs(dice.below(3000)));
        }
        let (target, digest) = if dice.below(3) == 0 {
            let (lsn, digest) = moments[dice.below(moments.len() as u64) as usize];
            (Target::Lsn(lsn), digest)
        } else {
            let newest = marks.len() - 1;
            let one = if dice.below(3) == 0 { dice.below(marks.len() as u64) as usize } else { newest };
            (Target::from(marks[one].0.as_str()), marks[one].1)
        };
        let digest = match db.rewind(&target, None) {
            Err(error) if error.code() == Code::BeforeWindow => db.digest().unwrap(),
            done => done.map(|_| digest).unwrap(),
        };
        assert_eq!(db.digest().unwrap(), digest, "{what}: round {round}");
        moments.push((db.now().unwrap(), digest));
        let ok: String = app.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(ok, "ok", "{what}: round {round}");
    }
    for (lsn, digest) in moments.iter().step_by(5) {
        beside(&db, *lsn, *digest, &what);
    }
    scene.eras_above()
}

/// All of it by the dice. `DBREWIND_SEED` replays one, `DBREWIND_ROUNDS` makes more worlds.
#[test]
fn hazard_eras_above_frames_in_any_order_with_anything() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let seed = number("DBREWIND_SEED").unwrap_or(1);
    let eras: usize = (seed..seed + number("DBREWIND_ROUNDS").unwrap_or(6)).map(|seed| storm(seed, 25)).sum();
    assert!(eras > 0 || number("DBREWIND_SEED").is_some(), "no era began above frames");
}
