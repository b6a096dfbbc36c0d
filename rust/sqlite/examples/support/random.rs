//! Numbers that look drawn and are the same in every run.

/// A linear congruential generator.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// A name: words that come again and again, and a number that does not.
    pub(crate) fn name(&mut self) -> String {
        const WORDS: [&str; 8] = ["amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath"];
        let mut word = || WORDS.get(self.below(8) as usize).copied().unwrap_or_default();
        format!("{} {} {}", word(), word(), self.below(1_000_000))
    }
}
