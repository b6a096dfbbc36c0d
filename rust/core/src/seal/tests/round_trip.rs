use proptest::prelude::*;

use super::*;

#[test]
fn a_history_comes_back_in_log_order_and_is_smaller() {
    let dir = tempfile::tempdir().unwrap();
    let records = sample(300);
    let len = seal(dir.path(), &records);
    assert_eq!(unseal(dir.path()).unwrap(), as_unsealed(&records));
    let raw: usize = records.iter().map(|(_, body)| body.len() + 40).sum();
    assert!(len < raw as u64 / 5, "{raw} bytes became {len}");
}

#[test]
fn a_segment_without_records_is_a_file_too() {
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), &[]);
    assert_eq!(unseal(dir.path()).unwrap(), []);
}

#[test]
fn a_key_that_fills_several_frames_and_long_bodies_come_back() {
    let noise = |seed: u64, len: u64| -> Vec<u8> {
        (0..len).map(|i| ((seed + i).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
    };
    // Of 3,000 bytes each; of 100,000; moments with a lot to say; and back to few.
    let bodies = (0..90).map(|i| (head(Kind::After, 1, 5, i + 1), noise(i * 7777, 3000)));
    let long = (0..4).map(|i| (head(Kind::After, 1, 6, i + 1), noise(i, 100_000)));
    let notes = (0..50).map(|i| (head(Kind::Note, 1, 2, i), noise(i, 2000 + i)));
    let few = (0..20).map(|i| (head(Kind::After, 1, 7 + i, 1), vec![1; 10]));
    let records = log(bodies.chain(long).chain(notes).chain(few));
    let dir = tempfile::tempdir().unwrap();
    seal(dir.path(), &records);
    assert_eq!(unseal(dir.path()).unwrap(), as_unsealed(&records));
    let sealed = Sealed::open(dir.path(), ID, &STORE).unwrap();
    let longest = sealed.index().frames.iter().map(|frame| frame.plain).max();
    assert!(longest.is_some_and(|plain| plain < (64 << 10) + 100_001), "{longest:?}");
}

#[test]
fn a_place_in_between_is_no_record_and_the_next_one_follows_it() {
    let dir = tempfile::tempdir().unwrap();
    let records = sample(20);
    seal(dir.path(), &records);
    let sealed = Sealed::open(dir.path(), ID, &STORE).unwrap();
    let (tenth, eleventh) = (records[9].0.offset, records[10].0.offset);
    let mut body = Vec::new();
    for at in [0, tenth + 8, tenth - 1, u32::MAX] {
        assert_eq!(sealed.read(at, &Alone::default(), &mut body).unwrap(), None);
    }
    let after: Vec<u32> = sealed.index().after(tenth + 1).map(|(_, offset, ..)| offset).collect();
    assert_eq!((after[0], after.len()), (eleventh, records.len() - 10));
    let (_, offset, _, behind) = sealed.index().after(tenth).next().unwrap();
    assert_eq!((offset, behind), (tenth, eleventh));
}

#[test]
fn the_oldest_image_of_each_key_is_found_without_payloads() {
    let dir = tempfile::tempdir().unwrap();
    let records = sample(100);
    seal(dir.path(), &records);
    let sealed = Sealed::open(dir.path(), ID, &STORE).unwrap();
    let index = sealed.index();
    let mut there = [0; 3];
    for object in 0..3 {
        for key in 0..100 {
            let images = records.iter().map(|(found, _)| found).filter(|it| {
                let of = (it.head.object.get(), it.head.key.get());
                of == (object, key) && crate::seal::index::is_image(it.head.kind)
            });
            let oldest = images.min_by_key(|it| (it.head.lsn, it.offset)).map(|it| it.offset);
            let found = index.oldest(object, key).and_then(|number| index.entry(number));
            assert_eq!(found.map(|entry| entry.offset), oldest, "object {object}, key {key}");
            there[object as usize] += u32::from(oldest.is_some());
        }
    }
    assert!(there[0] > 1 && there[1] == 0 && there[2] == 12, "{there:?}");
}

proptest! {
    #[test]
    fn any_records_come_back(
        records in proptest::collection::vec(
            (1_u8..=12, any::<u8>(), 0_u32..3, 0_u64..4, prop_oneof![0_u64..50, any::<u64>()],
             proptest::collection::vec(0_u8..2, 0..60)),
            0..200,
        ),
    ) {
        let records = log(records.into_iter().map(|(kind, flags, object, key, lsn, body)| {
            (Head { flags, ..head(Kind::from_raw(kind).unwrap(), object, key, lsn) }, body)
        }));
        let dir = tempfile::tempdir().unwrap();
        seal(dir.path(), &records);
        prop_assert_eq!(unseal(dir.path()).unwrap(), as_unsealed(&records));
    }
}

#[test]
fn of_many_equal_images_each_is_made_of_a_few() {
    let dir = tempfile::tempdir().unwrap();
    let records = log((0..2000).map(|lsn| (head(Kind::After, 0, 1, lsn), vec![9; 64])));
    seal(dir.path(), &records);
    assert_eq!(unseal(dir.path()).unwrap(), as_unsealed(&records));
    let sealed = Sealed::open(dir.path(), ID, &STORE).unwrap();
    let longest = (0..2000).map(|number| sealed.index().chain(number).count()).max();
    assert_eq!(longest, Some(256));
}
