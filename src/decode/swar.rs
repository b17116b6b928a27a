//! Looking at eight or sixteen bytes at once, as the bits of one integer or the lanes of one vector.

use wide::u8x16;

use super::decimal::SMALL_DIGITS;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x80 * ONES;
const POWERS: [u64; 9] = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Where the first byte from `at` on lies that ends a JSON string or must be looked at: a quote, a backslash, a control
/// character. The end of the bytes where there is none.
#[inline]
pub fn end_of_plain(bytes: &[u8], mut at: usize) -> usize {
    while let Some(sixteen) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let marks = special(*sixteen);
        if marks != 0 {
            return at + marks.trailing_zeros() as usize;
        }
        at += 16;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    at + rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len())
}

/// A bit for each byte that ends a JSON string or must be looked at.
#[inline(always)]
pub fn special(bytes: [u8; 16]) -> u32 {
    let bytes = u8x16::new(bytes);
    let of = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
    let control = bytes.min(u8x16::splat(0x1f)).simd_eq(bytes);
    (of(b'"') | of(b'\\') | control).to_bitmask()
}

/// A bit for each byte that is one of two.
#[inline(always)]
pub fn either(bytes: [u8; 16], one: u8, other: u8) -> u32 {
    let bytes = u8x16::new(bytes);
    (bytes.simd_eq(u8x16::splat(one)) | bytes.simd_eq(u8x16::splat(other))).to_bitmask()
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
#[inline(always)]
pub fn plain_number(bytes: &[u8], at: usize) -> Option<Plain> {
    match bytes.get(at..).and_then(|rest| rest.first_chunk()).map(short_number) {
        Some(Short::Number(plain)) => Some(Plain { end: at + plain.end, ..plain }),
        Some(Short::None) => None,
        Some(Short::Perhaps) | None => long_number(bytes, at),
    }
}

enum Short {
    Number(Plain),
    None,
    Perhaps,
}

/// One at the beginning that ends within sixteen bytes after its sign, with eight digits at most on each side of the point.
#[inline(always)]
fn short_number(bytes: &[u8; 32]) -> Short {
    let start = usize::from(bytes[0] == b'-');
    let values = u8x16::new(*chunk(bytes, start)) ^ u8x16::splat(b'0');
    // A bit for each byte that is no digit, and one behind them.
    let others = !values.min(u8x16::splat(9)).simd_eq(values).to_bitmask() | 1 << 16;
    let whole = others.trailing_zeros() as usize;
    if whole > 8 {
        return Short::Perhaps;
    }
    if whole == 0 || (bytes[start] == b'0' && whole > 1) {
        return Short::None;
    }
    let point = start + whole;
    let number = |mantissa, decimals, end| Short::Number(Plain { negative: start == 1, mantissa, decimals, end });
    let before = first_digits(chunk(bytes, start), whole);
    if bytes[point] != b'.' {
        return number(before, 0, point);
    }
    let decimals = (others >> (whole + 1)).trailing_zeros() as usize;
    if decimals > 8 || whole + 1 + decimals >= 16 {
        return Short::Perhaps;
    }
    if decimals == 0 {
        return Short::None;
    }
    let after = first_digits(chunk(bytes, point + 1), decimals);
    number(before * POWERS[decimals] + after, decimals, point + 1 + decimals)
}

/// So many bytes at a place where they are known to be.
#[inline]
fn chunk<const N: usize>(bytes: &[u8; 32], at: usize) -> &[u8; N] {
    bytes[at..at + N].first_chunk().expect("as many as asked for")
}

/// The first digits, one to eight of them, as a number.
#[inline]
fn first_digits(bytes: &[u8; 8], count: usize) -> u64 {
    let values = u64::from_le_bytes(*bytes) ^ (u64::from(b'0') * ONES);
    // The first digit is the lowest byte: zeros go in front of it, and what follows the last one goes.
    eight_digits(values << (64 - 8 * count))
}

/// Any, a run of digits after the other.
#[cold]
fn long_number(bytes: &[u8], at: usize) -> Option<Plain> {
    let negative = *bytes.get(at)? == b'-';
    let start = at + usize::from(negative);
    let (mantissa, point) = digits(bytes, start, 0)?;
    if bytes[start] == b'0' && point > start + 1 {
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

/// How many bytes lie before the first mark; 8 where there is none.
fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}
