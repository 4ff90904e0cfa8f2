//! File contents from a number: text that compresses about as well as source code and logs do, and noise that does
//! not compress at all. Own generator, because the same seed must give the same bytes whatever version of `rand` is
//! in the lock file, and because a gibibyte must take about a second.

/// How many words the text is made of, a power of two.
const WORDS: usize = 4096;
/// How many fixed sentences recur in it, a power of two.
const PHRASES: usize = 1024;

/// SplitMix64: small, fast, and the same everywhere. Not for secrets.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which must not be 0. The bias is far below what a test tree could show.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.draw() % bound as u64) as usize
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// One of `choices`, which must not be empty.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Makes contents. Holds its vocabulary; the caller gives the numbers.
pub struct Contents {
    words: Vec<Vec<u8>>,
    phrases: Vec<Vec<u8>>,
}

impl Contents {
    /// A vocabulary of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut numbers = Numbers::new(seed ^ 0x6c69_6272_6172_7921);
        let words: Vec<Vec<u8>> = (0..WORDS).map(|_| word(&mut numbers)).collect();
        let phrases = (0..PHRASES)
            .map(|_| {
                let mut phrase = Vec::new();
                for _ in 0..4 + numbers.below(8) {
                    phrase.extend_from_slice(&words[numbers.below(WORDS)]);
                    phrase.push(numbers.pick(b"   ...,_-(="));
                }
                phrase
            })
            .collect();
        Self { words, phrases }
    }

    /// Puts `len` bytes of text into `out`, replacing what was there.
    pub fn text(&self, numbers: &mut Numbers, len: usize, out: &mut Vec<u8>) {
        out.clear();
        while out.len() < len {
            // One draw feeds several choices: this loop runs two hundred million times for a gibibyte.
            let draw = numbers.draw();
            match draw & 7 {
                0 => out.push(b'\n'),
                1 | 2 => out.extend_from_slice(&self.phrases[(draw >> 8) as usize & (PHRASES - 1)]),
                3 => out.extend_from_slice(&hex_digits(draw)[..4 + (draw >> 4 & 7) as usize]),
                _ => {
                    for shift in [8, 24, 40] {
                        out.extend_from_slice(&self.words[(draw >> shift) as usize & (WORDS - 1)]);
                        out.push(b' ');
                    }
                }
            }
        }
        out.truncate(len);
    }

    /// Puts `len` bytes that no compressor makes smaller into `out`, replacing what was there.
    pub fn noise(&self, numbers: &mut Numbers, len: usize, out: &mut Vec<u8>) {
        out.clear();
        while out.len() < len {
            out.extend_from_slice(&numbers.draw().to_le_bytes());
        }
        out.truncate(len);
    }
}

fn word(numbers: &mut Numbers) -> Vec<u8> {
    let mut word = Vec::new();
    for _ in 0..1 + numbers.below(4) {
        word.push(numbers.pick(b"bcdfghklmnprstvw"));
        word.push(numbers.pick(b"aeiouy"));
        if numbers.one_in(3) {
            word.push(numbers.pick(b"lmnrst"));
        }
    }
    word
}

fn hex_digits(mut value: u64) -> [u8; 16] {
    let mut digits = [0; 16];
    for digit in &mut digits {
        *digit = b"0123456789abcdef"[(value & 15) as usize];
        value >>= 4;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
        let make = |seed| {
            let mut text = Vec::new();
            Contents::new(seed).text(&mut Numbers::new(seed), 10_000, &mut text);
            text
        };
        assert_eq!(make(1), make(1));
        assert_ne!(make(1), make(2));
    }

    #[test]
    fn contents_have_the_wanted_length_and_only_text_repeats() {
        let (contents, mut numbers, mut out) = (Contents::new(3), Numbers::new(3), Vec::new());
        for len in [0, 1, 7, 4096, 100_001] {
            contents.text(&mut numbers, len, &mut out);
            assert_eq!(out.len(), len);
            contents.noise(&mut numbers, len, &mut out);
            assert_eq!(out.len(), len);
        }
        let mut seen = [0_usize; 256];
        out.iter().for_each(|byte| seen[usize::from(*byte)] += 1);
        assert!(seen.iter().all(|count| (200..600).contains(count)), "noise is even: {seen:?}");
    }
}
