//! Any sequence of calls on a few handles of one store, against a list of records.

use dbrewind_core::{Cursor, Head, Key, Kind, Lsn, ObjectId, Record, Store, StoreOptions};
use proptest::prelude::*;

const OPTIONS: StoreOptions = StoreOptions { first_segment: 4096, max_segment: 16 << 10, limit: 1 << 30 };
const HANDLES: usize = 3;

#[derive(Clone, Debug)]
enum Call {
    Append { handle: usize, len: usize, cut: usize },
    Scan { handle: usize },
    Read { handle: usize, which: prop::sample::Index },
    Reopen { handle: usize },
    Raise { handle: usize, lsn: u64 },
    Sync { handle: usize },
}

fn call() -> impl Strategy<Value = Call> {
    let handle = 0..HANDLES;
    prop_oneof![
        8 => (handle.clone(), 0_usize..6000, 0_usize..6000).prop_map(|(handle, len, cut)| Call::Append {
            handle,
            len,
            cut: cut.min(len),
        }),
        3 => handle.clone().prop_map(|handle| Call::Scan { handle }),
        3 => (handle.clone(), any::<prop::sample::Index>()).prop_map(|(handle, which)| Call::Read { handle, which }),
        1 => handle.clone().prop_map(|handle| Call::Reopen { handle }),
        1 => (handle.clone(), 0_u64..100).prop_map(|(handle, lsn)| Call::Raise { handle, lsn }),
        1 => handle.prop_map(|handle| Call::Sync { handle }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_a_list_of_records(calls in proptest::collection::vec(call(), 1..80)) {
        let dir = tempfile::tempdir().unwrap();
        let open = || (Store::open(dir.path(), &OPTIONS).unwrap(), Cursor::default(), 0_usize);
        let mut handles: Vec<_> = (0..HANDLES).map(|_| open()).collect();
        let mut model: Vec<Record> = Vec::new();
        let mut last = 0;
        for call in calls {
            match call {
                Call::Append { handle, len, cut } => {
                    let i = model.len() as u64;
                    let body: Vec<u8> = (0..len).map(|at| (at as u64 * 31 + i) as u8).collect();
                    let object = ObjectId::new(i as u32 % 3);
                    let head = Head { kind: Kind::Before, flags: i as u8, object, key: Key::new(i), lsn: Lsn::new(i) };
                    let at = handles[handle].0.append(head, &[&body[..cut], &body[cut..]]).unwrap();
                    if let Some(before) = model.last() {
                        prop_assert!(before.at < at);
                    }
                    model.push(Record { head, at, body });
                }
                Call::Scan { handle } => {
                    let (store, cursor, seen) = &mut handles[handle];
                    let mut found = Vec::new();
                    store.scan(cursor, &mut |head, at, len| found.push((head, at, len as usize))).unwrap();
                    let new: Vec<_> = model[*seen..].iter().map(|r| (r.head, r.at, r.body.len())).collect();
                    prop_assert_eq!(found, new);
                    *seen = model.len();
                }
                Call::Read { handle, which } => {
                    if !model.is_empty() {
                        let record = which.get(&model);
                        prop_assert_eq!(&handles[handle].0.read(record.at).unwrap(), record);
                    }
                }
                Call::Reopen { handle } => handles[handle] = open(),
                Call::Raise { handle, lsn } => {
                    handles[handle].0.raise_last_lsn(ObjectId::new(0), Lsn::new(lsn));
                    last = lsn.max(last);
                }
                Call::Sync { handle } => handles[handle].0.sync().unwrap(),
            }
            prop_assert!(handles.iter().all(|(store, ..)| store.last_lsn(ObjectId::new(0)) == Lsn::new(last)));
        }
    }
}
