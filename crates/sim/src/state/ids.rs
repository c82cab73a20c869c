//! Ids, and all other chance: a fixed sequence per seed, account and region, so that a failure can be repeated.

use std::ops::Range;

/// A splitmix64 sequence. It stands here in ten lines so that ids never change with the version of a library.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    state: u64,
}

impl Ids {
    pub(crate) fn new(seed: &[&str]) -> Self {
        // FNV-1a over the parts, with a separator.
        let bytes = seed.iter().flat_map(|part| part.bytes().chain([0xff]));
        let state = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Self { state }
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in the range; its start when the range is empty.
    pub(crate) fn within(&mut self, range: &Range<u64>) -> u64 {
        match range.end.saturating_sub(range.start) {
            0 => range.start,
            width => range.start + self.number() % width,
        }
    }

    /// A number from 0 to less than 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        // The 53 bits that a double holds.
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A new id in EC2's long form: `vpc-` and 17 hexadecimal digits, the first of them 0.
    pub(crate) fn next(&mut self, prefix: &str) -> String {
        format!("{prefix}-0{:016x}", self.number())
    }

    /// A unique id in IAM's form: four letters that name the kind and 17 letters or digits.
    pub(crate) fn iam(&mut self, prefix: &str) -> String {
        const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let (high, low) = (self.number(), self.number());
        let digits = (0..17u32).map(|i| {
            if i < 12 {
                high >> (5 * i)
            } else {
                low >> (5 * (i - 12))
            }
        });
        let text: String = digits
            .map(|bits| char::from(ALPHABET[(bits % 32) as usize]))
            .collect();
        format!("{prefix}{text}")
    }

    /// A token in the shape of a UUID, for request ids.
    pub(crate) fn uuid(&mut self) -> String {
        let (a, b) = (self.number(), self.number());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            a >> 32,
            (a >> 16) & 0xffff,
            a & 0xfff,
            0x8000 | ((b >> 48) & 0x3fff),
            b & 0xffff_ffff_ffff
        )
    }
}
