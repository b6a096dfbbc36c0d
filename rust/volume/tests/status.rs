//! What is told of a history: window, bytes, pins, marks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::time::Duration;

use dbrewind_volume::{
    AttachOptions, Code, MarkCounts, MarkState, Memory, StoreSettings, Volume, VolumeStore, WindowState,
};

fn write(volume: &Volume, memory: &Memory, byte: u8) {
    let mut lock = memory.locked();
    volume.enter().unwrap();
    let len = lock.content().len() as u64;
    volume.will_write(0, len).unwrap();
    lock.edit(|bytes| bytes.fill(byte));
    volume.commit().unwrap();
}

#[test]
fn a_status_tells_of_this_volume_and_of_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings { limit: Some(64 << 20), window: Some(Duration::from_secs(3600)) };
    let store = VolumeStore::open(folder.path(), &settings).unwrap();
    let (memory, other) = (Memory::new(&[0; 640]), Memory::new(&[0; 640]));
    let before = Volume::attach(&store, "v", 64, memory.clone(), &AttachOptions::anew()).unwrap();
    before.mark("lost").unwrap();
    before.detach().unwrap();
    let volume = Volume::attach(&store, "v", 64, memory.clone(), &AttachOptions::anew()).unwrap();
    let second = Volume::attach(&store, "w", 64, other.clone(), &AttachOptions::anew()).unwrap();
    write(&volume, &memory, 1);
    volume.mark("one").unwrap();
    let pinned = volume.mark_pinned("two").unwrap();
    second.mark_pinned("not of v").unwrap();

    let status = volume.status().unwrap();
    assert_eq!(status.state, WindowState::Ok);
    assert_eq!((status.limit, status.target), (64 << 20, Duration::from_secs(3600)));
    assert_eq!(status.marks, MarkCounts { archived: 2, lost: 1, ..MarkCounts::default() });
    assert!(status.used > 0 && status.used == status.raw + status.sealed && status.used <= status.limit);
    let (lsn, time) = status.earliest.unwrap();
    assert!(lsn < pinned.lsn && time <= pinned.time && status.window < Duration::from_secs(3600));
    let [pin] = status.pins.as_slice() else { panic!("{status:?}") };
    assert_eq!((pin.name.as_str(), pin.lsn, pin.time), ("two", pinned.lsn, pinned.time));
    assert_eq!(second.status().unwrap().marks, MarkCounts { archived: 1, ..MarkCounts::default() });

    volume.drop_mark("two").unwrap();
    assert!(volume.status().unwrap().pins.is_empty());
    volume.detach().unwrap();
    assert_eq!(volume.status().unwrap_err().code(), Code::Closed);
}

#[test]
fn a_recording_that_has_stopped_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let settings = StoreSettings { limit: Some(5 << 20), ..StoreSettings::default() };
    let store = VolumeStore::open(folder.path(), &settings).unwrap();
    let memory = Memory::new(&vec![1; 16 << 20]);
    let volume = Volume::attach(&store, "v", 4096, memory.clone(), &AttachOptions::anew()).unwrap();
    volume.mark_pinned("m").unwrap();
    let lock = memory.locked();
    volume.enter().unwrap();
    assert_eq!(volume.will_write(0, 16 << 20).unwrap_err().code(), Code::StoreFull);
    drop(lock);
    let status = volume.status().unwrap();
    assert_eq!(status.state, WindowState::Stopped);
    assert_eq!(status.marks, MarkCounts { lost: 1, ..MarkCounts::default() });
    assert_eq!(volume.marks().unwrap()[0].state, MarkState::Lost);
}
