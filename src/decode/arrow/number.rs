//! Numbers as text: the shortest decimal that reads back as the same value of its width. `1` for 1.0, and with an
//! exponent only from 1e21 on and below 1e-7.

use std::fmt::Write;

use arrow_buffer::i256;

use super::Numeric;
use crate::decode::decimal::Number;
use crate::decode::fields::Slot;

/// A value as it stands in a text of many, or what is there instead.
#[derive(Clone, Copy, Debug)]
pub enum Written {
    Null,
    /// What a float has that is no number.
    NotANumber(&'static str),
    /// Of digits that are known, at most 19.
    Plain {
        start: u32,
        end: u32,
        negative: bool,
        mantissa: u64,
        decimals: u8,
    },
    Any {
        start: u32,
        end: u32,
    },
}

impl Written {
    pub fn slot(self, texts: &str) -> Slot<'_> {
        match self {
            Written::Null => Slot::Null,
            Written::NotANumber(name) => Slot::Text(name.into()),
            Written::Plain { start, end, negative, mantissa, decimals } => {
                let text = &texts[start as usize..end as usize];
                Slot::Number(Number::plain(text, negative, mantissa, decimals.into()))
            }
            Written::Any { start, end } => {
                // What is written here is a number.
                Number::parse(&texts[start as usize..end as usize]).map_or(Slot::Null, Slot::Number)
            }
        }
    }

    /// Of a number.
    pub fn text(self, texts: &str) -> Option<&str> {
        match self {
            Written::Null | Written::NotANumber(_) => None,
            Written::Plain { start, end, .. } | Written::Any { start, end } => {
                Some(&texts[start as usize..end as usize])
            }
        }
    }
}

/// What the values of a column mostly are like. It saves steps, and changes no text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habit {
    decimals: usize,
    /// Of more digits than a few.
    is_long: bool,
}

const POWERS: [f64; 17] = [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16];

/// Decimals that values have, mostly at most.
const USUAL: usize = 9;

/// A value's digits, at most 19 of them, of which the last ones stand after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    pub negative: bool,
    pub mantissa: u64,
    pub decimals: usize,
}

impl Digits {
    fn of(value: i128, decimals: usize) -> Option<Digits> {
        let mantissa = u64::try_from(value.unsigned_abs()).ok().filter(|mantissa| *mantissa < 10u64.pow(19))?;
        Some(Digits { negative: value < 0, mantissa, decimals })
    }

    /// Without the zeros at its end.
    fn shortest(mut self) -> Digits {
        while self.decimals > 0 && self.mantissa.is_multiple_of(10) {
            (self.mantissa, self.decimals) = (self.mantissa / 10, self.decimals - 1);
        }
        self
    }

    /// The number, for those who do not look at its text.
    #[inline]
    pub fn number(self) -> Number<'static> {
        Number::plain("", self.negative, self.mantissa, self.decimals)
    }
}

impl Numeric<'_> {
    /// The digits of the value's text, where they are few (and of a float's perhaps zeros after them); no text is written.
    #[inline(always)]
    pub fn digits(self, habit: &mut Habit) -> Option<Digits> {
        match self {
            Numeric::Integer(value) => Digits::of(value, 0),
            Numeric::Float64(value) => short_f64(value, habit),
            Numeric::Float32(value) => short_f32(value, habit),
            Numeric::Decimal { value, scale } => Digits::of(narrow(value)?, usize::try_from(scale).ok()?),
        }
    }

    /// Appends the value to a text, which must stay below 4 GiB.
    #[inline]
    pub fn write(self, texts: &mut String, habit: &mut Habit) -> Written {
        match (self, self.digits(habit)) {
            (Numeric::Float64(_) | Numeric::Float32(_), Some(digits)) => plain(texts, digits.shortest()),
            (_, Some(digits)) => plain(texts, digits),
            (Numeric::Integer(value), None) => any(texts, |texts| write!(texts, "{value}")),
            (Numeric::Decimal { value, scale }, None) => decimal(texts, value, scale),
            (Numeric::Float64(value), None) if !value.is_finite() => Written::NotANumber(not_a_number(value)),
            (Numeric::Float64(value), None) if is_near_one(value.abs()) => any(texts, |texts| write!(texts, "{value}")),
            (Numeric::Float64(value), None) => any(texts, |texts| write!(texts, "{value:e}")),
            (Numeric::Float32(value), None) if !value.is_finite() => Written::NotANumber(not_a_number(value.into())),
            (Numeric::Float32(value), None) if is_near_one(value.abs().into()) => {
                any(texts, |texts| write!(texts, "{value}"))
            }
            (Numeric::Float32(value), None) => any(texts, |texts| write!(texts, "{value:e}")),
        }
    }
}

/// Or zero: written without an exponent.
fn is_near_one(magnitude: f64) -> bool {
    magnitude == 0.0 || (1e-7..1e21).contains(&magnitude)
}

fn not_a_number(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// Those of the shortest decimal, where they are few. Of integers below 2^51 at most one, divided by a power of ten, lies
/// within half a step of the value; and the quotient of two exact values is rounded once, as its text is.
#[inline]
fn short_f64(value: f64, habit: &mut Habit) -> Option<Digits> {
    let magnitude = value.abs();
    let is_it = |digits, power| digits / power == magnitude;
    let found =
        if is_near_one(magnitude) { short(habit, (1u64 << 51) as f64, POWERS.len(), magnitude, is_it) } else { None };
    found.map(|(mantissa, decimals)| Digits { negative: value.is_sign_negative(), mantissa, decimals })
}

/// The same of a narrow one: below 2^23, since a step is at most a 2^23rd of the value; and with at most eight decimals, so
/// that the quotient, rounded to a wide one first, lies on the same side of what is half-way between two narrow ones.
#[inline]
fn short_f32(value: f32, habit: &mut Habit) -> Option<Digits> {
    let magnitude = value.abs();
    let is_it = |digits, power| (digits / power) as f32 == magnitude;
    let found = if is_near_one(magnitude.into()) {
        short(habit, (1u64 << 23) as f64, 9, magnitude.into(), is_it)
    } else {
        None
    };
    found.map(|(mantissa, decimals)| Digits { negative: value.is_sign_negative(), mantissa, decimals })
}

#[inline]
fn short(
    habit: &mut Habit,
    below: f64,
    most: usize,
    value: f64,
    is_it: impl Fn(f64, f64) -> bool,
) -> Option<(u64, usize)> {
    let digits = |decimals: usize| {
        let digits = value * POWERS[decimals];
        // (Below 2^63, for which there is an instruction.)
        let digits = if digits < below { (digits + 0.5) as i64 } else { return None };
        is_it(digits as f64, POWERS[decimals]).then_some(digits as u64)
    };
    // As many as the last one had, or more than it needs.
    if let Some(found) = digits(habit.decimals) {
        let decimals = habit.decimals;
        habit.is_long = false;
        // (A single value with many of them does not leave long digits to all that follow.)
        habit.decimals -= usize::from(decimals > USUAL && found.is_multiple_of(1000));
        return Some((found, decimals));
    }
    let searched = if habit.is_long { 0 } else { most };
    let decimals = (0..searched).find(|decimals| digits(*decimals).is_some());
    habit.is_long = decimals.is_none();
    habit.decimals = decimals.unwrap_or(habit.decimals);
    Some((digits(decimals?)?, decimals?))
}

/// A decimal's digits as an integer, where 128 bits hold them.
fn narrow(value: &[u8]) -> Option<i128> {
    match value.len() {
        4 => value.try_into().map(|value| i32::from_le_bytes(value).into()).ok(),
        8 => value.try_into().map(|value| i64::from_le_bytes(value).into()).ok(),
        16 => value.try_into().map(i128::from_le_bytes).ok(),
        _ => value.try_into().ok().and_then(|value| i256::from_le_bytes(value).to_i128()),
    }
}

/// One of many digits, or of zeros before the point.
fn decimal(texts: &mut String, value: &[u8], scale: i8) -> Written {
    let digits = match (narrow(value), value.try_into().map(i256::from_le_bytes)) {
        (Some(narrow), _) => narrow.to_string(),
        (None, Ok(wide)) => wide.to_string(),
        (None, Err(_)) => return Written::Null,
    };
    any(texts, |texts| pointed(texts, &digits, scale))
}

/// Digits, perhaps with a sign, of which so many stand after the point; where that is less than none, zeros follow them.
fn pointed(texts: &mut String, digits: &str, scale: i8) -> std::fmt::Result {
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits), |digits| ("-", digits));
    let decimals = usize::from(scale.max(0).unsigned_abs());
    let zeros = usize::from(scale.min(0).unsigned_abs());
    match digits {
        "0" if decimals == 0 => write!(texts, "0"),
        _ if decimals == 0 => write!(texts, "{sign}{digits}{:0<zeros$}", ""),
        _ => {
            let digits = format!("{digits:0>width$}", width = decimals + 1);
            let (whole, after) = digits.split_at(digits.len() - decimals);
            write!(texts, "{sign}{whole}.{after}")
        }
    }
}

/// Writing to a string does not fail.
fn any(texts: &mut String, write: impl FnOnce(&mut String) -> std::fmt::Result) -> Written {
    let start = texts.len() as u32;
    let _ = write(texts);
    Written::Any { start, end: texts.len() as u32 }
}

fn plain(texts: &mut String, Digits { negative, mantissa, decimals }: Digits) -> Written {
    let start = texts.len() as u32;
    let mut digits = [b'0'; 160];
    let (mut at, mut rest) = (digits.len(), mantissa);
    for place in 0.. {
        if rest == 0 && place > decimals {
            break;
        }
        if place == decimals && decimals > 0 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    if negative {
        at -= 1;
        digits[at] = b'-';
    }
    texts.push_str(std::str::from_utf8(&digits[at..]).unwrap_or_default());
    Written::Plain { start, end: texts.len() as u32, negative, mantissa, decimals: decimals as u8 }
}
