//! Rewinds to times.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::{Duration, SystemTime};

use dbrewind_volume::{
    AttachOptions, Code, Memory, RewindOptions, StoreSettings, Target, Timestamp, Volume, VolumeStore,
};

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
        let asked = volume.dirty_since(before).unwrap_err();
        assert_eq!(asked.code(), Code::BeforeWindow);
        assert!(!asked.to_string().contains("use_earliest"), "only a rewind has use_earliest: {asked}");
        let said = error.to_string();
        assert!(said.contains(", or go there with use_earliest;"), "{said}");
        let (_, rest) = said.split_once(" is before ").unwrap();
        let earliest = rest.split_once(',').unwrap().0;
        assert!(earliest.starts_with("20") && earliest.ends_with('Z'), "{said}");
    }
    assert_eq!(content(), 2);
}

#[test]
fn a_target_before_the_earliest_moment_leads_there_if_that_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let store = VolumeStore::open(folder.path(), &StoreSettings::default()).unwrap();
    let memory = Memory::new(&[7; 64]);
    let earliest = RewindOptions { use_earliest: true, ..RewindOptions::default() };
    let content = || memory.locked().content()[0];

    let volume = Volume::attach(&store, "v", 64, memory.clone(), &AttachOptions::anew()).unwrap();
    let lost = volume.mark("lost").unwrap();
    drop(volume);
    // Everything from before is lost; the earliest moment is this one.
    let volume = Volume::attach(&store, "v", 64, memory.clone(), &AttachOptions::anew()).unwrap();
    let first = volume.status().unwrap().earliest.unwrap();
    assert!(first.0 > lost.lsn);
    let mut undo = Vec::new();
    for byte in 1..=3 {
        write(&volume, &memory, byte);
        volume.mark(&format!("m{byte}")).unwrap();
    }
    for before in [
        Target::Time(Timestamp::new(1)),
        Target::Ago(Duration::from_secs(3600)),
        Target::Name("lost".to_owned()),
        Target::Lsn(lost.lsn),
    ] {
        assert_eq!(volume.rewind("m2").unwrap().blocks, 1);
        let refused = volume.rewind(before.clone()).unwrap_err();
        assert!(matches!(refused.code(), Code::BeforeWindow | Code::MarkLost), "{refused}");
        assert_eq!(content(), 2, "an error changed it");
        let rewound = volume.rewind_with(before.clone(), earliest).unwrap();
        assert_eq!((rewound.to, content()), (first.0, 7), "{before}");
        undo.push(rewound.undo);
    }
    volume.rewind(undo[0]).unwrap();
    assert_eq!(content(), 2);
    // What can be reached is reached, and what is not there is not.
    assert_eq!(volume.rewind_with("m3", earliest).unwrap().blocks, 1);
    assert_eq!(content(), 3);
    assert_eq!(volume.rewind_with("m4", earliest).unwrap_err().code(), Code::MarkNotFound);
}
