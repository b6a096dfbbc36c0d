use super::{Found, head, log};
use crate::format::Kind;
use crate::seal::sort;

/// Object, then moments before images, then the key; moments from the oldest on, images from the newest on; of one LSN by the place.
#[test]
fn records_stand_by_object_class_key_and_age() {
    let written = [
        (Kind::After, 2, 5, 3),
        (Kind::After, 1, 9, 7),
        (Kind::Commit, 1, 0, 7),
        (Kind::After, 1, 4, 8),
        (Kind::Base, 1, 4, 6),
        (Kind::Cut, 1, 4, 8),
        (Kind::Note, 1, 3, 6),
        (Kind::Commit, 1, 0, 8),
        (Kind::Before, 1, 9, 8),
        (Kind::Commit, 1, 0, 7),
        (Kind::Commit, 2, 0, 1),
    ];
    let records = log(written.map(|(kind, object, key, lsn)| (head(kind, object, key, lsn), vec![1])));
    let numbers = |records: &[Found]| -> Vec<usize> {
        let first = records.iter().map(|found| found.offset).min().unwrap();
        records.iter().map(|found| ((found.offset - first) / 48) as usize).collect()
    };
    let mut records: Vec<Found> = records.iter().map(|(found, _)| *found).collect();
    assert_eq!(numbers(&records), (0..written.len()).collect::<Vec<_>>());
    let expected = [2, 9, 7, 6, 5, 3, 4, 8, 1, 10, 0];
    // Wherever they were before.
    for turn in 0..written.len() {
        records.rotate_left(turn);
        records.reverse();
        sort(&mut records);
        assert_eq!(numbers(&records), expected);
    }
}
