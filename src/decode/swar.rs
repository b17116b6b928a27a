//! Looking at eight bytes at once, as the bits of one integer. Of several marks the lowest is right always; those
//! above it may be echoes of it, and are not looked at.

use super::decimal::SMALL_DIGITS;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x80 * ONES;

/// Where the first byte from `at` on lies that ends a JSON string or must be looked at: a quote, a backslash, a control
/// character. The end of the bytes where there is none.
#[inline]
pub fn end_of_plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(sixteen) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>())
        && is_plain(sixteen)
    {
        at += 16;
    }
    while let Some(eight) = eight(bytes, at) {
        let marks = equal(eight, b'"') | equal(eight, b'\\') | below(eight, 0x20);
        if marks != 0 {
            return at + first(marks);
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// Whether nothing in it ends a JSON string or must be looked at. (Written so that compilers make vectors of it.)
#[inline]
fn is_plain(bytes: &[u8; 16]) -> bool {
    let mark = |byte: u8| u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < 0x20);
    bytes.iter().fold(0, |marks, byte| marks | mark(*byte)) == 0
}

/// A number without an exponent, as JSON writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    pub negative: bool,
    /// All of its digits as one integer.
    pub mantissa: u64,
    /// How many of them stand after the point.
    pub decimals: usize,
    /// Where it ends.
    pub end: usize,
}

/// The number at `at`; `None` where there is none, where it has too many digits for a mantissa, and near the end of
/// the bytes. (What follows it is not looked at: it may go on with an exponent.)
#[inline]
pub fn plain_number(bytes: &[u8], at: usize) -> Option<Plain> {
    let negative = *bytes.get(at)? == b'-';
    let start = at + usize::from(negative);
    let (mantissa, point) = digits(bytes, start, 0)?;
    // (Both are looked at: which of them holds cannot be foreseen.)
    if (bytes[start] == b'0') & (point > start + 1) {
        return None;
    }
    let whole = Plain { negative, mantissa, decimals: 0, end: point };
    if *bytes.get(point)? != b'.' {
        return (point - start <= SMALL_DIGITS as usize).then_some(whole);
    }
    let (mantissa, end) = digits(bytes, point + 1, mantissa)?;
    // The point is no digit.
    (end - start - 1 <= SMALL_DIGITS as usize).then_some(Plain { mantissa, decimals: end - point - 1, end, ..whole })
}

/// The digits at `at`, one at least, after those that are in the mantissa (which wraps where they are too many); and
/// where they end.
#[inline]
fn digits(bytes: &[u8], mut at: usize, mut mantissa: u64) -> Option<(u64, usize)> {
    const POWERS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    let start = at;
    loop {
        let values = eight(bytes, at)? ^ (u64::from(b'0') * ONES);
        let count = first((values.wrapping_add(0x76 * ONES) | values) & HIGHS);
        if count > 0 {
            // The first digit is the lowest byte: zeros go in front of it.
            let padded = values << (64 - 8 * count);
            mantissa = mantissa.wrapping_mul(POWERS[count]).wrapping_add(eight_digits(padded));
        }
        at += count;
        if count < 8 {
            return (at > start).then_some((mantissa, at));
        }
    }
}

/// Eight values of 0 to 9 as one number; the lowest byte is its first digit.
fn eight_digits(values: u64) -> u64 {
    const PAIRS: u64 = 0x0000_00ff_0000_00ff;
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let outer = (pairs & PAIRS).wrapping_mul(100 + (1_000_000 << 32));
    let inner = ((pairs >> 16) & PAIRS).wrapping_mul(1 + (10_000 << 32));
    outer.wrapping_add(inner) >> 32
}

#[inline]
fn eight(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}

/// Marks the bytes that are this one.
fn equal(eight: u64, byte: u8) -> u64 {
    below(eight ^ (u64::from(byte) * ONES), 1)
}

/// Marks the bytes below this one, which is at most 128.
fn below(eight: u64, limit: u8) -> u64 {
    eight.wrapping_sub(u64::from(limit) * ONES) & !eight & HIGHS
}

/// How many bytes lie before the first mark; 8 where there is none.
fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}
