//! Numbers that a seed repeats.
#![allow(dead_code, unreachable_pub, reason = "each test takes what it needs")]

pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// Few different ones, so that equal blocks occur.
    pub fn bytes(&mut self, len: u64) -> Vec<u8> {
        let plain = self.below(3) == 0;
        (0..len).map(|_| if plain { 0 } else { (self.next() % 3) as u8 }).collect()
    }
}

/// As many as the environment asks for, from the one it names.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("DBREWIND_SEED").unwrap_or(1);
    first..first + number("DBREWIND_ROUNDS").unwrap_or(count)
}
