use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use super::Fields;
use crate::ffi::thread_id;
use crate::writers::{LONGEST, Process, namespace, plain, program};

/// Which process it is whose commits follow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct WriterNote {
    pub(crate) process: Process,
    /// In which its number means it; 0: unknown.
    pub(crate) namespace: u64,
    /// The run of the machine.
    pub(crate) boot: [u8; 16],
    /// What it runs.
    pub(crate) program: String,
}

impl WriterNote {
    /// The calling process.
    pub(crate) fn own() -> Self {
        static OWN: Mutex<Option<WriterNote>> = Mutex::new(None);
        let pid = std::process::id();
        let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
        // Not the parent's, in the child of a fork.
        if let Some(known) = own.as_ref().filter(|known| known.process.pid == pid) {
            return known.clone();
        }
        let note = Self {
            process: Process::of(pid).unwrap_or(Process { pid, began: 0 }),
            namespace: namespace(),
            boot: dbrewind_core::boot_id(),
            program: program(pid),
        };
        own.insert(note).clone()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = self.process.pid.to_le_bytes().to_vec();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.process.began.to_le_bytes());
        out.extend_from_slice(&self.namespace.to_le_bytes());
        out.extend_from_slice(&self.boot);
        out.extend_from_slice(self.program.as_bytes());
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        let pid = fields.u32()?;
        let reserved = fields.u32()?;
        let process = Process { pid, began: fields.u64()? };
        let (namespace, boot) = (fields.u64()?, fields.array()?);
        let program = std::str::from_utf8(fields.0).ok().filter(|text| text.len() <= LONGEST)?;
        // Whoever wrote it may have been anybody.
        let is_plain = plain(program) == program;
        (reserved == 0 && is_plain).then(|| Self { process, namespace, boot, program: program.to_owned() })
    }
}

/// Who commits, as the key of a `COMMIT` says it: the calling thread of this process, `pid`. Asks the system once a thread.
pub(crate) fn own_key(pid: u32) -> u64 {
    thread_local! {
        /// Of which process it was asked, and the answer.
        static THREAD: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    }
    let known = THREAD.try_with(|known| {
        // Else it is the parent's, in the child of a fork.
        if known.get().0 != pid {
            known.set((pid, thread_id()));
        }
        known.get().1
    });
    u64::from(pid) << 32 | u64::from(known.unwrap_or_else(|_| thread_id()))
}

/// Process and thread of such a key. `None`: not told.
pub(crate) fn of_key(key: u64) -> Option<(u32, u32)> {
    let (pid, thread) = (u32::try_from(key >> 32).ok()?, u32::try_from(key & 0xffff_ffff).ok()?);
    (pid > 0).then_some((pid, thread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back() {
        for note in [
            WriterNote::own(),
            WriterNote {
                process: Process { pid: u32::MAX, began: u64::MAX },
                namespace: 7,
                boot: [9; 16],
                program: "ä".repeat(LONGEST / 2),
            },
        ] {
            assert_eq!(WriterNote::decode(&note.encode()), Some(note));
        }
    }

    #[test]
    fn what_nobody_has_written_like_that_is_refused() {
        let good = WriterNote { program: "sh".to_owned(), ..WriterNote::own() }.encode();
        for cut in 0..good.len() - 2 {
            assert_eq!(WriterNote::decode(&good[..cut]), None, "{cut}");
        }
        let with = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = good.clone();
            change(&mut bytes);
            WriterNote::decode(&bytes)
        };
        assert!(with(&|_| {}).is_some());
        assert_eq!(with(&|bytes| bytes[5] = 1), None, "reserved");
        assert_eq!(with(&|bytes| bytes.push(0xff)), None, "not UTF-8");
        assert_eq!(with(&|bytes| bytes.extend(b"\x1b[31m")), None, "would colour a terminal");
        assert_eq!(with(&|bytes| bytes.extend([b'x'; LONGEST])), None, "too long");
    }

    #[test]
    fn a_key_says_process_and_thread() {
        let me = std::process::id();
        assert_eq!(of_key(own_key(me)), Some((me, thread_id())));
        let other = std::thread::spawn(move || of_key(own_key(me))).join().unwrap().unwrap();
        assert!(other.0 == me && other.1 != thread_id());
        assert_eq!(of_key(own_key(me + 1)), Some((me + 1, thread_id())), "asked anew");
        assert_eq!(of_key(0), None);
        assert_eq!(of_key(5), None);
    }
}
