//! Bytes in memory, with functions that fail when they are told to.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dbrewind_volume::{Medium, Memory, Storage};

/// An identity that cannot be told.
pub const UNTOLD: &str = "untold";

pub struct Failing {
    pub memory: Memory,
    /// After so many more writes they fail.
    writes: AtomicU32,
    /// The length cannot be told.
    pub lengthless: AtomicBool,
    /// The length cannot be set.
    pub stiff: AtomicBool,
    identity: Mutex<String>,
}

fn on_purpose<T>() -> io::Result<T> {
    Err(io::Error::other("on purpose"))
}

impl Failing {
    /// Nothing fails yet, and nothing tells which content it is.
    pub fn new(content: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::new(content),
            writes: AtomicU32::new(u32::MAX),
            lengthless: AtomicBool::default(),
            stiff: AtomicBool::default(),
            identity: Mutex::default(),
        })
    }

    pub fn fail_after(&self, writes: u32) {
        self.writes.store(writes, Ordering::Relaxed);
    }

    pub fn be(&self, identity: &str) {
        identity.clone_into(&mut self.identity.lock().unwrap());
    }
}

impl Storage for Failing {
    fn lock(&self, timeout: Duration) -> io::Result<bool> {
        self.memory.lock(timeout)
    }
    fn unlock(&self) {
        self.memory.unlock();
    }
    fn identity(&self) -> io::Result<Vec<u8>> {
        match self.identity.lock().unwrap().as_str() {
            UNTOLD => on_purpose(),
            told => Ok(told.as_bytes().to_vec()),
        }
    }
}

impl Medium for Failing {
    fn read(&self, offset: u64, to: &mut [u8]) -> io::Result<()> {
        self.memory.read(offset, to)
    }
    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let left = self.writes.load(Ordering::Relaxed);
        let Some(left) = left.checked_sub(1) else { return on_purpose() };
        self.writes.store(left, Ordering::Relaxed);
        self.memory.write(offset, bytes)
    }
    fn truncate(&self, size: u64) -> io::Result<()> {
        if self.stiff.load(Ordering::Relaxed) { on_purpose() } else { self.memory.truncate(size) }
    }
    fn size(&self) -> io::Result<u64> {
        if self.lengthless.load(Ordering::Relaxed) { on_purpose() } else { self.memory.size() }
    }
}
