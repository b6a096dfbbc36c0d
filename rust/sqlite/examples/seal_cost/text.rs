//! Text as people write it, as far as a packer can tell: few words often, many seldom, in sentences and paragraphs.

use crate::random::Random;

/// How many words there are.
const WORDS: u64 = 6000;

/// A word of so many; those with low numbers are short.
fn word(number: u64) -> String {
    const ONSETS: [&str; 16] =
        ["", "b", "c", "d", "f", "g", "h", "l", "m", "n", "p", "r", "s", "t", "st", "tr"];
    const VOWELS: [&str; 8] = ["a", "e", "i", "o", "u", "ea", "e", "io"];
    const ENDS: [&str; 8] = ["", "", "n", "r", "s", "t", "l", "nd"];
    let mut mixed = Random(number.wrapping_mul(0x9E37_79B9) + 1);
    let syllables = 1 + (number > 60 && mixed.below(4) > 0) as u64 + (number > 600) as u64 * mixed.below(2);
    let mut out = String::new();
    for _ in 0..syllables {
        for parts in [&ONSETS[..], &VOWELS, &ENDS] {
            out += parts.get(mixed.below(parts.len() as u64) as usize).copied().unwrap_or_default();
        }
    }
    out
}

/// Draws words as they are spread in texts: the n-th about 1/n as often as the first.
pub(crate) struct Text {
    words: Vec<String>,
}

impl Text {
    pub(crate) fn new() -> Self {
        Self { words: (0..WORDS).map(word).collect() }
    }

    pub(crate) fn word(&self, random: &mut Random) -> &str {
        let drawn = random.below(1 << 20) as f64 / f64::from(1 << 20);
        let number = (WORDS as f64).powf(drawn) as usize - 1;
        self.words.get(number).map_or("", String::as_str)
    }

    pub(crate) fn words(&self, count: u64, random: &mut Random) -> String {
        let drawn: Vec<&str> = (0..count).map(|_| self.word(random)).collect();
        drawn.join(" ")
    }

    pub(crate) fn sentence(&self, random: &mut Random) -> String {
        let count = 5 + random.below(14);
        let words = self.words(count, random);
        let (first, rest) = words.split_at(usize::from(!words.is_empty()));
        format!("{}{rest}.", first.to_uppercase())
    }

    /// So many sentences, some of which begin a paragraph.
    pub(crate) fn sentences(&self, count: u64, random: &mut Random) -> Vec<String> {
        let mut out = Vec::new();
        for _ in 0..count {
            let end = if random.below(6) == 0 { "\n\n" } else { " " };
            out.push(self.sentence(random) + end);
        }
        out
    }
}
