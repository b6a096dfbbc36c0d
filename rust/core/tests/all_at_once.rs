//! All that the threads of a process do with a store, at once, on segments so small that hundreds of them pass: two handles of one
//! folder, and others that come and go; single records, batches and reservations; the step to the next segment; a sealer in the background and one that is
//! called; eviction within a small limit, by its thread and by whoever needs room; syncs; readers in all of that. In the end every record that was said
//! to be appended and was not evicted has to be there, once, in order.
//!
//! `DBREWIND_SEGMENTS` says how many have to pass, 200 if it does not. `make race` runs it under ThreadSanitizer.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod at_once;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use at_once::recorder::Recorder;
use at_once::writer::Said;
use at_once::{Course, EndsAll, reader, writer};
use dbrewind_core::{Store, StoreOptions};

const OPTIONS: StoreOptions = StoreOptions { first_segment: 8 << 10, max_segment: 32 << 10, limit: 2 << 20 };
/// Of the writers of the two handles; the next one is that of the handles that come and go.
const WRITERS: u32 = 3;
/// Far more than any machine takes.
const LONGEST: Duration = Duration::from_secs(600);

/// How many segments shall pass.
fn segments() -> u64 {
    std::env::var("DBREWIND_SEGMENTS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

fn sealed_files(dir: &Path) -> usize {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_str().is_some_and(|name| name.ends_with(".zst"))).count()
}

/// Seals what there is, beside the thread that does it in the background, once that has begun.
fn seal(store: &Store, course: &Course) {
    while !course.is_over() && sealed_files(store.dir()) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    while !course.is_over() {
        match store.seal_some().unwrap() {
            Some(_) => {
                course.sealed.fetch_add(1, Ordering::Relaxed);
            }
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    }
}

fn sync(store: &Store, course: &Course) {
    while !course.is_over() {
        store.sync().unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Opens the store, appends, reads, and closes it, again and again.
fn come_and_go(dir: &Path, course: &Course) -> Said {
    let (mut said, mut last, mut turn) = (Said::default(), 0, 0);
    while !course.is_over() {
        let store = Store::open(dir, &OPTIONS).unwrap();
        // Else it leaves nothing to the evictions of the others.
        store.make_room_by(Arc::new(|_| true));
        for _ in 0..3 {
            turn += 1;
            writer::append(&store, WRITERS, &mut last, turn, &mut said);
        }
        let newest = said.there.values().rev().find_map(|at| *at);
        if let Some(at) = newest {
            assert!(store.read(at).is_ok() || at.segment().get() < u64::from(store.first_segment()), "{at}");
        }
        course.opened.fetch_add(1, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(5));
    }
    said
}

/// Waits until all of it has happened often enough.
fn wait(store: &Store, course: &Course) {
    let started = Instant::now();
    while !course.is_over() {
        let newest = course.newest.load(Ordering::Relaxed);
        let [sealed, moments, opened] =
            [&course.sealed, &course.moments, &course.opened].map(|count| count.load(Ordering::Relaxed));
        let evicted = store.first_segment() - 1;
        let enough =
            newest >= segments() && u64::from(evicted) >= segments() / 4 && sealed >= segments() / 10;
        if enough && moments >= 10 && opened >= 5 {
            course.end();
        }
        assert!(
            started.elapsed() < LONGEST,
            "only {newest} segments, {evicted} evicted, {sealed} sealed, {moments} moments, {opened} opened"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn threads_that_do_everything_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let course = Course::default();
    let handles = [0, 1].map(|_| Store::open(dir.path(), &OPTIONS).unwrap());
    let mut recorders: Vec<_> =
        (0..).zip(&handles).map(|(number, store)| Recorder::new(store, number)).collect();
    for store in &handles {
        store.keep_window(Arc::new(|_| true));
    }
    handles[0].seal_in_background().unwrap();
    let mut said = BTreeMap::new();
    let (course, path) = (&course, dir.path());
    std::thread::scope(|scope| {
        let mut writers = BTreeMap::new();
        for number in 0..WRITERS {
            let store = &handles[number as usize % 2];
            writers.insert(
                number,
                scope.spawn(move || {
                    let _ends = EndsAll(course);
                    writer::write(store, number, course)
                }),
            );
        }
        writers.insert(
            WRITERS,
            scope.spawn(move || {
                let _ends = EndsAll(course);
                come_and_go(path, course)
            }),
        );
        for (recorder, store) in recorders.iter_mut().zip(&handles) {
            scope.spawn(move || {
                let _ends = EndsAll(course);
                recorder.record(store, course);
            });
        }
        let [one, two] = &handles;
        for (work, store) in [
            (reader::follow as fn(&Store, &Course), one),
            (reader::go_through, two),
            (reader::go_through, one),
            (seal, two),
            (seal, one),
            (sync, one),
        ] {
            scope.spawn(move || {
                let _ends = EndsAll(course);
                work(store, course);
            });
        }
        let _ends = EndsAll(course);
        wait(one, course);
        for (number, writer) in writers {
            said.insert(number, writer.join().unwrap());
        }
    });
    let count = |store: &Store| {
        recorders.iter().for_each(|recorder| recorder.compare(store));
        reader::compare(store, &said)
    };
    let hold = handles[0].hold_window().unwrap();
    for store in &handles {
        assert!(count(store) > 100);
    }
    drop((hold, handles));
    let again = Store::open(path, &OPTIONS).unwrap();
    assert!(count(&again) > 100);
}
