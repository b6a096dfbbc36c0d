//! Recording and rewinding in the rollback journal modes, through the public interface.
#![cfg(feature = "bundled")]
#![allow(clippy::unwrap_used, reason = "a test's helpers")]

mod support;

use dbrewind_sqlite::Target;
use support::{MODES, World};

#[test]
fn rewinds_back_and_forth_in_every_mode() {
    for mode in MODES {
        for page_size in [512, 4096, 65536] {
            let world = World::new(mode, page_size);
            let db = world.record();
            let c = world.connect();
            world.fill(&c, 0..50);
            let mark = db.mark("filled").unwrap();
            let digest = db.digest().unwrap();
            world.fill(&c, 50..80);
            c.execute("delete from t where id < 10", []).unwrap();
            c.execute("update t set v = 'x' || v where id > 20", []).unwrap();
            let later = db.digest().unwrap();
            assert_ne!(digest, later, "{mode} {page_size}");
            let back = db.rewind(&Target::from("filled"), None).unwrap();
            assert_eq!(back.to, mark.lsn);
            assert_eq!(db.digest().unwrap(), digest, "{mode} {page_size}");
            assert_eq!(world.count(&c), 50, "{mode} {page_size}");
            world.check(&c);
            let forth = db.rewind(&Target::from(back.undo), None).unwrap();
            assert_eq!(db.digest().unwrap(), later, "{mode} {page_size}");
            assert_eq!(world.count(&c), 70);
            world.check(&c);
            db.rewind(&Target::from(forth.undo), None).unwrap();
            assert_eq!(db.digest().unwrap(), digest);
            world.check(&c);
            assert_eq!(world.plain("select count(*) from t"), "50");
        }
    }
}
