//! What the way to the keeper costs: the same calls on an engine inside and on one in a keeper.
//!
//! `cargo build --release -p dbrewind-keeper && cargo run --release -p dbrewind-keeper --example hop`

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use dbrewind_keeper::{Choice, Handle, KeeperCommand};
use dbrewind_sqlite::{OpenOptions, SqliteApi};
use rusqlite::Connection;

const ROUNDS: usize = 2000;

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(0.0, Duration::as_secs_f64) * 1e6
}

fn measure(choice: Choice, keeper: &KeeperCommand, path: &Path) -> Result<(), Box<dyn Error>> {
    let app = Connection::open(path)?;
    app.execute_batch("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1)")?;
    let began = Instant::now();
    let db = Handle::open(choice, Ok(SqliteApi::bundled()), keeper, path, &OpenOptions::default())?;
    let opened = began.elapsed();
    db.mark("start")?;
    let [mut now, mut mark, mut rewind] = [const { Vec::new() }; 3];
    for round in 0..ROUNDS {
        let name = round.to_string();
        let began = Instant::now();
        db.now()?;
        now.push(began.elapsed());
        let began = Instant::now();
        db.mark(&name)?;
        mark.push(began.elapsed());
        app.execute("INSERT INTO t VALUES (2)", [])?;
        let began = Instant::now();
        db.rewind(&"start".into(), None)?;
        rewind.push(began.elapsed());
    }
    println!(
        "{choice:?}: open {:.1} ms; medians: now {:.1} us, mark {:.1} us, rewind {:.1} us",
        opened.as_secs_f64() * 1e3,
        median(now),
        median(mark),
        median(rewind)
    );
    db.close()?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::temp_dir().join(format!("dbrewind-hop-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    // Beside `examples`, where cargo puts the program.
    let program = std::env::current_exe()?;
    let programs = program.parent().and_then(Path::parent).ok_or("no folder of programs")?;
    let keeper = KeeperCommand::new(programs.join("dbrewind-keeper"));
    let result = measure(Choice::Inside, &keeper, &folder.join("inside.db"))
        .and_then(|()| measure(Choice::Keeper, &keeper, &folder.join("keeper.db")));
    std::fs::remove_dir_all(&folder)?;
    result
}
