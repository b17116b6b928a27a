//! Exact sums and the doubles nearest to what they mean.
//!
//! Values are 64-bit fixed-point integers. Their sum is kept in 128 bits and the sum of their
//! squares in 256: neither can overflow before 2⁶³ readings. Addition of integers is associative
//! and commutative, so the order in which readings arrive leaves no trace. Only at the edge does
//! a value become a double: the one nearest to the exact quotient or root, ties to even.

use num_bigint::{BigInt, BigUint};

/// A sum of squares of 64-bit integers, 256 bits wide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Squares {
    high: u128,
    low: u128,
}

impl Squares {
    pub fn from_words(high: u128, low: u128) -> Squares {
        Squares { high, low }
    }

    /// The high and the low 128 bits.
    pub fn words(self) -> (u128, u128) {
        (self.high, self.low)
    }

    /// Adds the square of a value.
    pub fn add_square(&mut self, value: i64) {
        let magnitude = u128::from(value.unsigned_abs());
        self.add(Squares { high: 0, low: magnitude * magnitude });
    }

    pub fn add(&mut self, other: Squares) {
        let (low, carry) = self.low.overflowing_add(other.low);
        self.low = low;
        self.high = self.high.wrapping_add(other.high).wrapping_add(u128::from(carry));
    }

    fn to_big(self) -> BigUint {
        (BigUint::from(self.high) << 128) + BigUint::from(self.low)
    }
}

/// The double nearest to `value · 10^exponent`.
pub fn to_f64(value: i64, exponent: i32) -> f64 {
    mean(i128::from(value), 1, exponent)
}

/// The double nearest to `sum / count · 10^exponent`. `count` is at least 1.
pub fn mean(sum: i128, count: u64, exponent: i32) -> f64 {
    small_mean(sum, count, exponent).unwrap_or_else(|| large_mean(sum, count, exponent))
}

/// Integers up to here, and all below, are doubles: one division rounds once.
const EXACT: u64 = 1 << f64::MANTISSA_DIGITS;

/// The mean where a fraction of doubles says it exactly, as in nearly every window.
fn small_mean(sum: i128, count: u64, exponent: i32) -> Option<f64> {
    let factor = 10u64.checked_pow(exponent.unsigned_abs())?;
    let (by, over) = if exponent < 0 { (1, factor) } else { (factor, 1) };
    let numerator =
        sum.unsigned_abs().checked_mul(u128::from(by)).filter(|numerator| *numerator <= u128::from(EXACT))?;
    let denominator = count.checked_mul(over).filter(|denominator| *denominator <= EXACT)?;
    let magnitude = numerator as f64 / denominator as f64;
    Some(if sum < 0 { -magnitude } else { magnitude })
}

fn large_mean(sum: i128, count: u64, exponent: i32) -> f64 {
    let (mut numerator, mut denominator) = (BigUint::from(sum.unsigned_abs()), BigUint::from(count));
    scale(&mut numerator, &mut denominator, exponent, 1);
    let magnitude = nearest_quotient(&numerator, &denominator);
    if sum < 0 { -magnitude } else { magnitude }
}

/// The double nearest to the population standard deviation, `√(n·Σx² − (Σx)²) / n · 10^exponent`.
/// `count` is at least 1.
pub fn standard_deviation(sum: i128, squares: Squares, count: u64, exponent: i32) -> f64 {
    let n = BigInt::from(count);
    let spread = n * BigInt::from(squares.to_big()) - BigInt::from(sum) * BigInt::from(sum);
    // By Cauchy–Schwarz the spread of real readings is never negative.
    let mut numerator = spread.to_biguint().unwrap_or_default();
    let mut denominator = BigUint::from(count) * BigUint::from(count);
    scale(&mut numerator, &mut denominator, exponent, 2);
    nearest_root(&numerator, &denominator)
}

/// Multiplies the fraction by `10^(exponent · power)`.
fn scale(numerator: &mut BigUint, denominator: &mut BigUint, exponent: i32, power: u32) {
    let factor = BigUint::from(10u8).pow(exponent.unsigned_abs() * power);
    let side = if exponent < 0 { denominator } else { numerator };
    *side *= factor;
}

/// Bits kept before rounding: a double's 53, and enough to tell which way to round.
const KEPT_BITS: i64 = 64;

fn nearest_quotient(numerator: &BigUint, denominator: &BigUint) -> f64 {
    let shift = KEPT_BITS + denominator.bits() as i64 - numerator.bits() as i64;
    let (numerator, denominator) = shifted(numerator, denominator, shift);
    let quotient = &numerator / &denominator;
    let exact = &quotient * &denominator == numerator;
    round(&quotient, -shift, exact)
}

fn nearest_root(numerator: &BigUint, denominator: &BigUint) -> f64 {
    let shift = 2 * KEPT_BITS + denominator.bits() as i64 - numerator.bits() as i64;
    let shift = shift + (shift & 1);
    let (numerator, denominator) = shifted(numerator, denominator, shift);
    let quotient = &numerator / &denominator;
    let root = quotient.sqrt();
    let exact = &root * &root == quotient && &quotient * &denominator == numerator;
    round(&root, -shift / 2, exact)
}

/// The fraction times `2^shift`.
fn shifted(numerator: &BigUint, denominator: &BigUint, shift: i64) -> (BigUint, BigUint) {
    match shift {
        0.. => (numerator << shift as u64, denominator.clone()),
        _ => (numerator.clone(), denominator << shift.unsigned_abs()),
    }
}

/// The double nearest to `mantissa · 2^exponent`, or to a little more where it is not `exact`.
/// The result is a normal number: inputs are bounded by 64-bit values and 64-bit counts.
fn round(mantissa: &BigUint, exponent: i64, exact: bool) -> f64 {
    let bits = mantissa.bits() as i64;
    let excess = bits - 53;
    if excess <= 0 {
        // Fewer bits than a double holds: only ever an exact zero or an exact small number.
        return mantissa.iter_u64_digits().next().unwrap_or(0) as f64 * 2f64.powi(exponent as i32);
    }
    let half = BigUint::from(1u8) << (excess - 1) as u64;
    let kept = mantissa >> excess as u64;
    let rest = mantissa - (&kept << excess as u64);
    let mut kept = kept.iter_u64_digits().next().unwrap_or(0);
    if rest > half || (rest == half && (!exact || kept & 1 == 1)) {
        kept += 1;
    }
    kept as f64 * 2f64.powi((exponent + excess) as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_means_and_deviations() {
        assert_eq!(mean(1, 3, 0), 1.0 / 3.0);
        assert_eq!(mean(-1, 3, 0), -1.0 / 3.0);
        assert_eq!(mean(0, 7, -9), 0.0);
        assert_eq!(to_f64(29_406_800_000, -9), 29.4068);
        assert_eq!(to_f64(i64::MIN, 0), i64::MIN as f64);
        let mut squares = Squares::default();
        for value in [2, 4, 4, 4, 5, 5, 7, 9] {
            squares.add_square(value);
        }
        assert_eq!(standard_deviation(40, squares, 8, 0), 2.0);
        assert_eq!(standard_deviation(40, squares, 8, -1), 0.2);
    }

    #[test]
    fn one_value_has_no_deviation_even_at_the_limits() {
        for value in [i64::MIN, -1, 0, 1, i64::MAX] {
            let mut squares = Squares::default();
            squares.add_square(value);
            squares.add_square(value);
            assert_eq!(standard_deviation(2 * i128::from(value), squares, 2, -9), 0.0, "{value}");
        }
    }

    #[test]
    fn squares_carry_into_the_high_words() {
        let mut squares = Squares::from_words(0, u128::MAX);
        squares.add_square(1);
        assert_eq!(squares.words(), (1, 0));
    }

    proptest! {
        /// Rust parses decimal text to the nearest double: an independent way to the same number.
        #[test]
        fn fixed_point_becomes_the_double_that_its_text_says(value: i64, digits in 0i32..18) {
            let text = format!("{value}e-{digits}");
            prop_assert_eq!(to_f64(value, -digits), text.parse::<f64>().unwrap());
        }

        /// Where everything is a small integer, doubles divide correctly rounded.
        #[test]
        fn small_quotients_equal_the_processor(sum in -(1i128 << 52)..(1i128 << 52), count in 1u64..(1 << 50)) {
            prop_assert_eq!(large_mean(sum, count, 0), sum as f64 / count as f64);
        }

        /// The short way says what the long one says, up to the largest that it takes.
        #[test]
        fn the_short_way_is_the_long_one(
            (sum_bits, count_bits) in (0u32..70, 0u32..60),
            (sum, count) in any::<(i128, u64)>(),
            exponent in -18i32..19,
        ) {
            let (sum, count) = (sum >> (127 - sum_bits), (count >> (63 - count_bits)).max(1));
            let short = small_mean(sum, count, exponent);
            prop_assert!(short.is_none_or(|short| short == large_mean(sum, count, exponent)));
            let fits = sum.unsigned_abs() <= u128::from(EXACT) && count <= EXACT;
            prop_assert!(exponent != 0 || fits == short.is_some());
        }

        /// √(k²/n²) for a two-point distribution is exactly half the distance.
        #[test]
        fn two_points_lie_half_their_distance_from_the_mean(low in -1_000_000i64..1_000_000, gap in 0i64..1_000_000) {
            let mut squares = Squares::default();
            squares.add_square(low);
            squares.add_square(low + gap);
            let sum = i128::from(low) + i128::from(low + gap);
            prop_assert_eq!(standard_deviation(sum, squares, 2, 0), gap as f64 / 2.0);
        }
    }
}
