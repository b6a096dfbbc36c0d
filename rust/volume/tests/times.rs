//! Rewinds to times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::{Duration, SystemTime};

use dbrewind_volume::{AttachOptions, Code, Memory, StoreSettings, Target, Timestamp, Volume, VolumeStore};

fn write(volume: &Volume, memory: &Memory, byte: u8) {
    let mut lock = memory.locked();
    volume.enter().unwrap();
    volume.will_write(0, 64).unwrap();
    lock.edit(|bytes| bytes.fill(byte));
    volume.commit().unwrap();
}

fn later(time: Timestamp, by: u64) -> Timestamp {
    Timestamp::new(time.get() + by)
}

#[test]
fn a_time_leads_to_the_newest_kept_moment_at_or_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = VolumeStore::open(folder.path(), &StoreSettings::default()).unwrap();
    let memory = Memory::new(&[0; 64]);
    let volume = Volume::attach(&store, "v", 64, memory.clone(), &AttachOptions::anew()).unwrap();
    let mut marks = Vec::new();
    for byte in 1..=3 {
        write(&volume, &memory, byte);
        marks.push(volume.mark(&format!("m{byte}")).unwrap());
        // One that nothing keeps.
        write(&volume, &memory, byte + 100);
    }
    let content = || memory.locked().content()[0];
    for (mark, byte) in marks.iter().zip(1..=3).rev() {
        for time in [mark.time, later(mark.time, 1)] {
            let rewound = volume.rewind(time).unwrap();
            assert_eq!((rewound.to, content()), (mark.lsn, byte));
            assert!(rewound.time <= mark.time && !volume.dirty_since(mark.time).unwrap());
        }
    }
    // Between: what was committed without a mark is not kept, the mark before it is.
    let committed = volume.rewind(marks[2].lsn).unwrap().time;
    assert_eq!(volume.rewind(Timestamp::new(committed.get() - 1)).unwrap().to, marks[1].lsn);
    assert_eq!(content(), 2);
    let now = volume.now().unwrap();
    let rewound = volume.rewind(SystemTime::now() + Duration::from_secs(60)).unwrap();
    assert_eq!((rewound.to, rewound.undo), (now, now));
    assert_eq!(volume.rewind(Target::Ago(Duration::ZERO)).unwrap().to, now);

    for before in [Target::Time(Timestamp::new(1)), Target::Ago(Duration::from_secs(3600))] {
        let error = volume.rewind(before.clone()).unwrap_err();
        assert_eq!(error.code(), Code::BeforeWindow);
        assert_eq!(volume.dirty_since(before).unwrap_err().code(), Code::BeforeWindow);
        let said = error.to_string();
        let (_, rest) = said.split_once(" is before ").unwrap();
        let earliest = rest.split_once(',').unwrap().0;
        assert!(earliest.starts_with("20") && earliest.ends_with('Z'), "{said}");
    }
    assert_eq!(content(), 2);
}
