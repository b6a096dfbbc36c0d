//! A full store in which several databases are recorded, or one that was moved: what is left to evictions stays theirs.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use dbrewind_core::Need;
use dbrewind_sqlite::{Code, Database, Target, WindowState};
use support::full::{LIMIT, MODES, Scene, is_lost, states};

fn lost(database: &Database) -> Vec<bool> {
    states(database).iter().map(is_lost).collect()
}

/// Its new name is the first thing that is said of it.
#[test]
fn hazard_a_database_whose_store_is_full_was_moved() {
    for (mode, need) in MODES.into_iter().flat_map(|mode| [(mode, None), (mode, Some(Need::Keep))]) {
        let scene = Scene::new(mode);
        scene.with_three().close().unwrap();
        scene.fill_up(need);
        let scene = scene.moved("new.db");
        for _ in 0..3 {
            let database = scene.open(None).unwrap();
            assert_eq!(database.marks().unwrap().len(), 3, "{mode}");
            assert!(scene.used() < LIMIT - LIMIT / 32, "{mode}: evictions keep half of what is theirs");
            let _ = database.close();
            // By others, who use up each segment.
            scene.fill_up(None);
        }
        let database = scene.open(None).unwrap();
        let kept = lost(&database);
        database.drop_mark("one").unwrap();
        assert_eq!(lost(&database), kept[1..], "{mode}");
        let _ = database.close();
    }
}

/// What one of them takes in need leaves enough for the other one to be cured, and neither is touched by what befalls the other.
#[test]
fn a_full_store_of_two_databases_is_opened_by_both_and_cured_when_both_let_go() {
    for (mode, need) in MODES.into_iter().flat_map(|mode| [(mode, None), (mode, Some(Need::Keep))]) {
        let what = format!("{mode}, {need:?}");
        let scene = Scene::new(mode);
        let other = scene.beside("b.db");
        let both = [&scene, &other];
        for scene in both {
            scene.with_three().close().unwrap();
        }
        scene.fill_up(need);
        for _ in 0..2 {
            let [a, b] = both.map(|scene| scene.open(None).unwrap());
            for database in [&a, &b] {
                assert!(!lost(database).contains(&true), "{what}");
            }
            // Not even a mark has room then, and says so; what is there stays.
            for database in [&a, &b] {
                if let Err(error) = database.mark("more") {
                    assert_eq!(error.code(), Code::StoreFull, "{what}: {error}");
                } else {
                    database.drop_mark("more").unwrap();
                }
            }
            for database in [b, a] {
                // What it would say last may have no room; nothing is lost of what is there.
                let _ = database.close();
            }
            assert!(scene.used() <= LIMIT, "{what}");
        }
        let [a, b] = both.map(|scene| scene.open(None).unwrap());
        b.drop_mark("one").unwrap();
        a.drop_mark("one").unwrap();
        // What the other one's newest era has in it goes when that one begins another: at its next mark, or within a moment in WAL mode.
        // Until that has happened what is written next may find no room, and a recording in WAL mode that finds none ends.
        let store = scene.store();
        let started = std::time::Instant::now();
        for round in 0.. {
            for database in [&a, &b] {
                assert!(!lost(database).contains(&true), "{what}");
                if let Err(error) = database.mark(&format!("round {round}")) {
                    assert_eq!(error.code(), Code::StoreFull, "{what}: {error}");
                }
            }
            let states = [&a, &b].map(|database| database.status().unwrap().state);
            if !states.contains(&WindowState::Full) && !store.is_short_of_room() {
                break;
            }
            assert!(started.elapsed() < std::time::Duration::from_secs(20), "{what}: {states:?}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        for (scene, database) in both.into_iter().zip([&a, &b]) {
            database.mark("more").unwrap();
            scene.write("new");
            database.rewind(&Target::from("more"), None).unwrap();
            assert_eq!(scene.rows(), ["one", "two", "six"], "{what}");
        }
        assert!(scene.used() <= LIMIT, "{what}");
        for database in [a, b] {
            database.close().unwrap();
        }
    }
}

/// One has no room to begin; the other one has, and goes on.
#[test]
fn hazard_a_database_is_begun_in_the_full_store_of_another_one() {
    for (mode, need) in MODES.into_iter().flat_map(|mode| [(mode, None), (mode, Some(Need::Keep))]) {
        let what = format!("{mode}, {need:?}");
        let scene = Scene::new(mode);
        let other = scene.beside("b.db");
        let a = scene.with_three();
        scene.fill_up(need);
        let before = std::fs::read(other.path()).unwrap();
        for _ in 0..3 {
            // Its first era is no cure.
            match other.open(None) {
                Ok(b) => {
                    let refused = b.mark("x").unwrap_err();
                    assert_eq!(refused.code(), Code::StoreFull, "{what}: {refused}");
                    let _ = b.close();
                }
                Err(error) => assert_eq!(error.code(), Code::StoreFull, "{what}: {error}"),
            }
            assert_eq!(std::fs::read(other.path()).unwrap(), before, "{what}");
            assert!(!lost(&a).contains(&true), "{what}");
            scene.fill_up(None);
        }
        a.drop_mark("one").unwrap();
        assert!(!lost(&a).contains(&true), "{what}");
        other.write("own");
        let b = other.open(Some(4 * LIMIT)).unwrap();
        b.mark("x").unwrap();
        other.write("new");
        b.rewind(&Target::from("x"), None).unwrap();
        assert_eq!(other.rows(), ["own"], "{what}");
        a.mark("now").unwrap();
        scene.write("new");
        a.rewind(&Target::from("now"), None).unwrap();
        assert_eq!(scene.rows(), ["one", "two", "six"], "{what}");
        b.close().unwrap();
        a.close().unwrap();
    }
}
