//! A forked child cannot use what it inherited.
#![expect(unsafe_code, reason = "fork")]

use std::time::Duration;

use dbrewind_core::{Code, Cursor, Head, Key, Kind, Location, Lsn, ObjectId, Store, StoreOptions};

const OPTIONS: StoreOptions = StoreOptions { first_segment: 64 << 10, max_segment: 64 << 10, limit: 1 << 20 };

fn head(object: ObjectId, lsn: u64) -> Head {
    Head { kind: Kind::After, flags: 0, object, key: Key::new(1), lsn: Lsn::new(lsn) }
}

/// Number of the first call that did not answer as it must in a child; 0 when all did.
fn wrong_answer(store: &Store, at: Location) -> i32 {
    let object = ObjectId::new(0);
    let is_forked = |code: Code| code == Code::Forked;
    let answers = [
        store.append(head(object, 2), &[b"child"]).is_err_and(|e| is_forked(e.code())),
        store.object("/a.db", 1).is_err_and(|e| is_forked(e.code())),
        store.read(at).is_err_and(|e| is_forked(e.code())),
        store.scan(&mut Cursor::default(), &mut |_, _, _| {}).is_err_and(|e| is_forked(e.code())),
        store.lock_object(object, Duration::ZERO).is_err_and(|e| is_forked(e.code())),
        store.try_hold(object).is_err_and(|e| is_forked(e.code())),
        store.sync().is_err_and(|e| is_forked(e.code())),
        store.broken(object) == Some(Code::Forked),
        store.last_lsn(object) == Lsn::ORIGIN,
        store.add_register(object, 0, 1) == 0,
    ];
    store.raise_last_lsn(object, Lsn::new(99));
    store.set_register(object, 1, 99);
    store.set_broken(object, Code::Io);
    store.confirm_boot(object);
    answers.iter().position(|right| !right).map_or(0, |at| at as i32 + 1)
}

#[test]
fn hazard_fork() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), &OPTIONS).unwrap();
    let object = store.object("/a.db", 1).unwrap();
    store.raise_last_lsn(object, Lsn::new(5));
    let at = store.append(head(object, 1), &[b"parent"]).unwrap();
    let lock = store.lock_object(object, Duration::ZERO).unwrap();
    // SAFETY: the child calls the store, which does not allocate or lock before it notices the fork, and
    // `_exit`.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let wrong = wrong_answer(&store, at);
        drop(lock);
        drop(store);
        // A store that the child opens itself is as good as any.
        let own = Store::open(dir.path(), &OPTIONS);
        let appended = own.is_ok_and(|own| own.append(head(object, 3), &[b"child's own"]).is_ok());
        let wrong = if appended { wrong } else { 100 };
        // SAFETY: ends the process.
        unsafe { libc::_exit(wrong) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "the child crashed: {status:#x}");
    assert_eq!(
        libc::WEXITSTATUS(status),
        0,
        "this call did not answer Forked in the child (100: its own store failed)"
    );

    let other = Store::open(dir.path(), &OPTIONS).unwrap();
    assert!(other.lock_object(object, Duration::ZERO).is_err(), "the child's drop let the parent's lock go");
    assert_eq!(store.last_lsn(object), Lsn::new(5));
    assert_eq!((store.register(object, 0), store.register(object, 1), store.broken(object)), (0, 0, None));
    store.append(head(object, 2), &[b"parent"]).unwrap();
    let mut seen = Vec::new();
    store.scan(&mut Cursor::default(), &mut |head, _, _| seen.push(head.lsn.get())).unwrap();
    assert_eq!(seen, [0, 1, 3, 2]);
    drop(lock);
    assert!(other.lock_object(object, Duration::ZERO).is_ok());
}
