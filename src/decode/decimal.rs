//! Decimal text → fixed-point integers, exactly: no float on the way, every digit counts.

use num_bigint::{BigInt, Sign};

/// Most significant digits a number may have. (A double written out in full has 767.)
pub const MAX_DIGITS: usize = 4096;

/// Significant digits that a 64-bit mantissa always holds.
pub const SMALL_DIGITS: u32 = 19;

/// Bounds of the decimals in the configuration. They let [`Linear`] tell from a number's magnitude
/// alone that it is out of range or next to nothing, and keep its powers of ten small.
const CONFIG_DIGITS: i64 = 18;
const CONFIG_LEAST_EXPONENT: i64 = -36;
/// Bounds of the unit's exponent.
pub const UNIT_EXPONENTS: std::ops::RangeInclusive<i32> = -18..=18;
/// By the bounds above: beyond 10^100 nothing fits the unit, whatever scale and offset; below
/// 10^-100 a value cannot be told from any other of its sign.
const MAGNITUDE: i64 = 100;

/// A decimal number taken apart: ± digits · 10^exponent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number<'a> {
    /// As it is written.
    pub text: &'a str,
    negative: bool,
    /// From the first digit that is not zero to the last one written, where they are more than [`SMALL_DIGITS`]; else 0.
    many_digits: u32,
    /// The digits as an integer, where they are not so many.
    mantissa: u64,
    exponent: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberFault {
    TooLong,
    OutOfRange,
}

impl<'a> Number<'a> {
    /// `[+-] digits [. digits] [e [+-] digits]`, at least one digit before the exponent: JSON's
    /// grammar, and beyond it what CSV files hold (`+1`, `.5`, `007`).
    pub fn parse(text: &'a str) -> Option<Number<'a>> {
        let mut rest = text.as_bytes();
        let negative = rest.first() == Some(&b'-');
        if matches!(rest.first(), Some(b'-' | b'+')) {
            rest = &rest[1..];
        }
        let (whole, mut rest) = split_digits(rest);
        let mut fraction: &[u8] = &[];
        if rest.first() == Some(&b'.') {
            (fraction, rest) = split_digits(&rest[1..]);
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let power = parse_exponent(rest)?;
        let (mut mantissa, mut digits) = (0u64, 0);
        for &digit in whole.iter().chain(fraction) {
            digits += u32::from(digits > 0 || digit != b'0');
            mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        }
        // Zero has no magnitude: 0e999 is 0.
        let exponent = if digits == 0 { 0 } else { power - fraction.len() as i64 };
        let many_digits = if digits > SMALL_DIGITS { digits } else { 0 };
        Some(Number { text, negative, many_digits, mantissa, exponent })
    }

    /// One that is written without an exponent and whose digits, at most [`SMALL_DIGITS`] of them, are known.
    pub fn plain(text: &'a str, negative: bool, mantissa: u64, decimals: usize) -> Number<'a> {
        let exponent = if mantissa == 0 { 0 } else { -(decimals as i64) };
        Number { text, negative, many_digits: 0, mantissa, exponent }
    }

    /// The nearest double, ties to even.
    pub fn to_f64(self) -> Option<f64> {
        // Both are exact, so that their quotient is rounded once.
        if self.many_digits == 0 && self.mantissa <= 1 << 53 && (-22..=0).contains(&self.exponent) {
            let magnitude = self.mantissa as f64 / F64_POWERS[-self.exponent as usize];
            return Some(f64::from_bits(magnitude.to_bits() | u64::from(self.negative) << 63));
        }
        self.text.parse().ok()
    }

    pub fn is_zero(&self) -> bool {
        self.many_digits == 0 && self.mantissa == 0
    }

    /// From the first one that is not zero to the last one written.
    fn digits(&self) -> u32 {
        match self.many_digits {
            0 => self.mantissa.checked_ilog10().map_or(0, |tens| tens + 1),
            many => many,
        }
    }

    /// ⌊value · 10^shift⌋, if it has at most 18 digits.
    pub fn floor(&self, shift: i64) -> Option<i64> {
        // Digits that stand left of the point after the shift.
        let kept = self.magnitude() + shift;
        if kept > 18 {
            return None;
        }
        let (mut value, mut place, mut rest) = (0i64, 0, false);
        for digit in self.significant() {
            if place < kept {
                value = value * 10 + i64::from(digit - b'0');
                place += 1;
            } else {
                rest |= digit != b'0';
            }
        }
        (place..kept).for_each(|_| value *= 10);
        Some(if self.negative { -value - i64::from(rest) } else { value })
    }

    fn significant(&self) -> impl Iterator<Item = u8> {
        let before_exponent = self.text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E'));
        before_exponent.filter(u8::is_ascii_digit).skip_while(|&digit| digit == b'0')
    }

    /// Digits before the point: the value is below 10 to this power.
    fn magnitude(&self) -> i64 {
        i64::from(self.digits()) + self.exponent
    }

    fn small(&self) -> Option<i128> {
        let mantissa = i128::from(self.mantissa);
        (self.many_digits == 0).then_some(if self.negative { -mantissa } else { mantissa })
    }

    /// The digits and their exponent, for a number whose magnitude is known to be tame.
    fn large(&self) -> (BigInt, i64) {
        let sign = if self.negative { Sign::Minus } else { Sign::Plus };
        if self.magnitude() < -MAGNITUDE {
            return (BigInt::from_slice(sign, &[1]), -MAGNITUDE - 1);
        }
        let digits: Vec<u8> = self.significant().map(|digit| digit - b'0').collect();
        let mantissa = BigInt::from_radix_be(sign, &digits, 10).unwrap_or_default();
        (mantissa, self.exponent)
    }
}

const F64_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

const I64_POWERS: [i64; 19] = {
    let mut powers = [1; 19];
    let mut i = 1;
    while i < 19 {
        powers[i] = powers[i - 1] * 10;
        i += 1;
    }
    powers
};

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

/// What follows the digits: nothing, or an exponent (its size cut off where it no longer matters).
fn parse_exponent(text: &[u8]) -> Option<i64> {
    let [b'e' | b'E', rest @ ..] = text else { return text.is_empty().then_some(0) };
    let (negative, digits) = match rest {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Larger than any count of digits that a record can hold, so that nothing makes up for it.
    let cut = |size: i64, digit: &u8| (size * 10 + i64::from(digit - b'0')).min(1 << 40);
    let size = digits.iter().fold(0, cut);
    Some(if negative { -size } else { size })
}

/// A decimal of the configuration: mantissa · 10^exponent, within the bounds above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Constant {
    mantissa: i64,
    exponent: i64,
}

impl Constant {
    pub fn parse(text: &str) -> Option<Constant> {
        let number = Number::parse(text)?;
        let tame = i64::from(number.digits()) <= CONFIG_DIGITS
            && number.exponent >= CONFIG_LEAST_EXPONENT
            && number.magnitude() <= CONFIG_DIGITS;
        tame.then_some(Constant { mantissa: number.small()? as i64, exponent: number.exponent })
    }

    pub fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    pub fn is_negative(self) -> bool {
        self.mantissa < 0
    }

    /// The largest integer of units that is not above this value.
    pub fn floor(self, unit: i32) -> i128 {
        clamp(floor(self.mantissa.into(), self.exponent - i64::from(unit)))
    }
}

/// The whole numbers of units from the least one not below `mu − k·sigma` to the largest one not
/// above `mu + k·sigma`: a value is normal where it lies in between, bounds included.
pub fn normal_range(mu: Constant, sigma: Constant, k: Constant, unit: i32) -> (i128, i128) {
    let spread_exponent = sigma.exponent + k.exponent;
    let exponent = mu.exponent.min(spread_exponent);
    let mu_at = BigInt::from(mu.mantissa) * pow10(mu.exponent - exponent);
    let spread = BigInt::from(sigma.mantissa) * BigInt::from(k.mantissa) * pow10(spread_exponent - exponent);
    let shift = exponent - i64::from(unit);
    let high = floor(&mu_at + &spread, shift);
    let low = -floor(spread - mu_at, shift);
    (clamp(low), clamp(high))
}

/// value · scale + offset, as an integer of the unit, rounded half to even.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    scale: Constant,
    offset: Constant,
}

impl Linear {
    pub fn new(scale: Constant, offset: Constant, unit: i32) -> Linear {
        debug_assert!(!scale.is_zero() && UNIT_EXPONENTS.contains(&unit));
        let in_units = |constant: Constant| Constant { exponent: constant.exponent - i64::from(unit), ..constant };
        // An offset of zero must not ask for digits below the unit.
        let offset = if offset.is_zero() { Constant { mantissa: 0, exponent: 0 } } else { in_units(offset) };
        Linear { scale: in_units(scale), offset }
    }

    pub fn apply(&self, number: &Number<'_>) -> Result<i64, NumberFault> {
        if let Some(value) = self.in_64_bits(number) {
            return Ok(value);
        }
        match self.quick(number) {
            Some(value) => i64::try_from(value).map_err(|_| NumberFault::OutOfRange),
            None => self.exact(number),
        }
    }

    /// The same where 128 bits suffice. (The text of the number is not looked at.)
    #[inline]
    pub fn apply_small(&self, number: &Number<'_>) -> Option<i64> {
        self.in_64_bits(number).or_else(|| i64::try_from(self.quick(number)?).ok())
    }

    /// Most have no offset and no digits below the unit.
    #[inline]
    fn in_64_bits(&self, number: &Number<'_>) -> Option<i64> {
        if number.many_digits != 0 || !self.offset.is_zero() {
            return None;
        }
        let power = I64_POWERS.get(usize::try_from(number.exponent + self.scale.exponent).ok()?)?;
        let mantissa = i64::try_from(number.mantissa).ok()?;
        let magnitude = mantissa.checked_mul(self.scale.mantissa)?.checked_mul(*power)?;
        if number.negative { magnitude.checked_neg() } else { Some(magnitude) }
    }

    /// In 128 bits; `None` where they do not suffice.
    fn quick(&self, number: &Number<'_>) -> Option<i128> {
        let product = number.small()? * i128::from(self.scale.mantissa);
        let exponent = number.exponent + self.scale.exponent;
        let least = exponent.min(self.offset.exponent).min(0);
        let mut sum = product.checked_mul(small_pow10(exponent - least)?)?;
        if !self.offset.is_zero() {
            let offset = i128::from(self.offset.mantissa);
            sum = sum.checked_add(offset.checked_mul(small_pow10(self.offset.exponent - least)?)?)?;
        }
        if least == 0 {
            return Some(sum);
        }
        let unit = small_pow10(-least)?;
        let (whole, rest) = (sum.div_euclid(unit), sum.rem_euclid(unit));
        Some(whole + i128::from(rounds_up(rest.cmp(&(unit - rest)), whole & 1 == 1)))
    }

    fn exact(&self, number: &Number<'_>) -> Result<i64, NumberFault> {
        if number.digits() > MAX_DIGITS as u32 {
            return Err(NumberFault::TooLong);
        }
        if number.magnitude() > MAGNITUDE {
            return Err(NumberFault::OutOfRange);
        }
        let (mantissa, exponent) = number.large();
        let exponent = exponent + self.scale.exponent;
        let least = exponent.min(self.offset.exponent).min(0);
        let sum = mantissa * self.scale.mantissa * pow10(exponent - least)
            + pow10(self.offset.exponent - least) * self.offset.mantissa;
        let (whole, unit) = (floor(sum.clone(), least), pow10(-least));
        let rest = sum - &whole * &unit;
        let up = rounds_up(rest.cmp(&(unit - &rest)), whole.bit(0));
        i64::try_from(whole + i32::from(up)).map_err(|_| NumberFault::OutOfRange)
    }
}

/// Half to even: how the part cut off compares to its complement, and whether the rest is odd.
fn rounds_up(part: std::cmp::Ordering, odd: bool) -> bool {
    part.is_gt() || (part.is_eq() && odd)
}

/// ⌊value · 10^shift⌋.
fn floor(value: BigInt, shift: i64) -> BigInt {
    if shift >= 0 {
        return value * pow10(shift);
    }
    let unit = pow10(-shift);
    let (whole, rest) = (&value / &unit, &value % &unit);
    if rest.sign() == Sign::Minus { whole - 1 } else { whole }
}

fn clamp(value: BigInt) -> i128 {
    let least = if value.sign() == Sign::Minus { i128::MIN } else { i128::MAX };
    i128::try_from(value).unwrap_or(least)
}

fn pow10(exponent: i64) -> BigInt {
    debug_assert!((0..=2 * MAX_DIGITS as i64).contains(&exponent));
    BigInt::from(10).pow(exponent as u32)
}

fn small_pow10(exponent: i64) -> Option<i128> {
    const POWERS: [i128; 39] = {
        let mut powers = [1; 39];
        let mut i = 1;
        while i < 39 {
            powers[i] = powers[i - 1] * 10;
            i += 1;
        }
        powers
    };
    POWERS.get(usize::try_from(exponent).ok()?).copied()
}
