//! The hand-over of a segment that was sealed: its mapping is let go of while others read in it or append to it.
//!
//! As `Segment::let_go` and `Segment::is_gone` do it: the flag first, then zeros in place of the pages, by a system call that stops
//! every thread which has the old ones. A model has no such call; the zeros come one by one instead, each a release, which is less.

use crate::explorer::{Arc, explore, fence, thread};
use crate::heap::{Heap, owner, put};
use crate::ring::{Appended, Step, step};
use crate::sync::{AtomicU64, Ordering};

/// A segment of one record that the log has left, the content of that record apart, and the flag.
struct Mapped {
    log: Arc<Heap>,
    content: AtomicU64,
    gone: AtomicU64,
}

const CONTENT: u64 = 42;

impl Mapped {
    fn new() -> Arc<Self> {
        let log = Heap::new(48 + 40);
        assert_eq!(put(&log, 1, 7), Appended::At(0));
        assert_eq!(put(&log, 1, 8), Appended::Full);
        Arc::new(Self { log, content: AtomicU64::new(CONTENT), gone: AtomicU64::new(0) })
    }

    fn let_go(&self) {
        self.gone.store(1, Ordering::SeqCst);
        // The words of the record and of the end.
        for at in [0, 6] {
            self.log.words[at].store(0, Ordering::Release);
        }
        self.content.store(0, Ordering::Release);
    }

    fn is_gone(&self) -> bool {
        fence(Ordering::Acquire);
        self.gone.load(Ordering::Relaxed) == 1
    }
}

/// As `Store::read_into`: what was copied counts only if the flag is not up afterwards; else the sealed file is asked.
#[test]
fn what_is_read_while_the_segment_goes_is_the_record_or_is_read_again() {
    explore(|| {
        let mapped = Mapped::new();
        let sealer = {
            let mapped = Arc::clone(&mapped);
            thread::spawn(move || mapped.let_go())
        };
        let found = step(&*mapped.log, 0);
        // Relaxed: a copy of plain bytes.
        let content = mapped.content.load(Ordering::Relaxed);
        if !mapped.is_gone() {
            assert!(matches!(found, Step::Committed { len: 8, next: 48 }), "{found:?}");
            assert_eq!(content, CONTENT);
        }
        sealer.join().unwrap();
        assert!(mapped.is_gone());
    });
}

/// As `Inner::walk_raw`: a walk that comes to zeros knows that they are none of the log's.
#[test]
fn a_walk_never_takes_the_zeros_for_the_end_of_the_log() {
    explore(|| {
        let mapped = Mapped::new();
        let sealer = {
            let mapped = Arc::clone(&mapped);
            thread::spawn(move || mapped.let_go())
        };
        let mut at = 0;
        loop {
            let found = step(&*mapped.log, at);
            if mapped.is_gone() {
                break;
            }
            match found {
                Step::Committed { next, .. } => at = next,
                Step::Over => {
                    assert_eq!(at, 88);
                    break;
                }
                other => panic!("{other:?} at {at}"),
            }
        }
        sealer.join().unwrap();
    });
}

/// As `Store::append`: a writer that was stopped since before the log left the segment finds free words where there are zeros. Whatever
/// it puts there is lost, and it knows.
#[test]
fn a_writer_that_was_stopped_meanwhile_learns_that_its_record_is_lost() {
    explore(|| {
        let mapped = Mapped::new();
        let sealer = {
            let mapped = Arc::clone(&mapped);
            thread::spawn(move || mapped.let_go())
        };
        let writer = {
            let mapped = Arc::clone(&mapped);
            thread::spawn(move || {
                let body = 9_u64.to_le_bytes();
                let outcome =
                    crate::ring::append(&*mapped.log, 0, owner(2), &[&body], 8, |_| {}, |_| [1; 32]);
                match outcome {
                    // The log goes on elsewhere, as ever.
                    Appended::Full => {}
                    Appended::At(_) | Appended::Damaged(_) | Appended::Aborted => assert!(mapped.is_gone()),
                }
            })
        };
        sealer.join().unwrap();
        writer.join().unwrap();
    });
}
