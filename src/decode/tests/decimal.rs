//! Decimals against big rational numbers.

use proptest::prelude::*;

use super::twin::Rational;
use crate::decode::decimal::{Constant, Linear, Number, NumberFault, normal_range};

fn linear(scale: &str, offset: &str, unit: i32) -> Linear {
    Linear::new(Constant::parse(scale).expect(scale), Constant::parse(offset).expect(offset), unit)
}

fn fixed(text: &str, scale: &str, offset: &str, unit: i32) -> Result<i64, NumberFault> {
    linear(scale, offset, unit).apply(&Number::parse(text).expect(text))
}

#[test]
fn rounds_half_to_even_on_every_digit() {
    let zeros = "0".repeat(300);
    let cases = [
        ("0.0000000005", 0),
        ("0.0000000015", 2),
        ("-0.0000000005", 0),
        ("-0.0000000015", -2),
        ("0.0000000025", 2),
        (&format!("0.0000000005{zeros}"), 0),
        (&format!("0.0000000005{zeros}1"), 1),
        (&format!("-0.0000000005{zeros}1"), -1),
        (&format!("0.00000000049{}", "9".repeat(300)), 0),
        ("9223372036.854775807", i64::MAX),
        ("9223372036.8547758074999", i64::MAX),
        ("-9223372036.854775808", i64::MIN),
        ("-9223372036.8547758085", i64::MIN),
        ("-0", 0),
        ("0e999999999999", 0),
        ("-1e-999999999999", 0),
        (&format!("{zeros}1"), 1_000_000_000),
        (&format!("1{zeros}e-300"), 1_000_000_000),
    ];
    for (text, value) in cases {
        assert_eq!(fixed(text, "1", "0", -9), Ok(value), "{text}");
    }
    for text in ["9223372036.8547758075", "-9223372036.8547758086", "1e10", "1e999", "1e99999999999999999999"] {
        assert_eq!(fixed(text, "1", "0", -9), Err(NumberFault::OutOfRange), "{text}");
    }
    // A next-to-nothing tips the balance of a half.
    assert_eq!(fixed("1e-999", "1", "0.0000000005", -9), Ok(1));
    assert_eq!(fixed("-1e-999", "1", "0.0000000015", -9), Ok(1));
    assert_eq!(fixed("1e-999", "-1", "0.0000000015", -9), Ok(1));
    assert_eq!(fixed("282.25", "1", "-273.15", -9), Ok(9_100_000_000));
    assert_eq!(fixed(&"7".repeat(4097), "1", "0", -9), Err(NumberFault::TooLong));
}

#[test]
fn scales_may_turn_the_sign_at_the_ends_of_the_range() {
    for (text, scale, unit, value) in [
        ("-4611686018.427387904", "-2", -9, Err(NumberFault::OutOfRange)),
        ("4611686018.427387904", "-2", -9, Ok(i64::MIN)),
        ("-4611686018427387904", "-2", 0, Err(NumberFault::OutOfRange)),
        ("-1152921504606846976", "-8", 0, Err(NumberFault::OutOfRange)),
        ("-4611686018427387904", "2", 0, Ok(i64::MIN)),
        ("4611686018427387904", "2", 0, Err(NumberFault::OutOfRange)),
        ("-4611686018427387903", "-2", 0, Ok(i64::MAX - 1)),
    ] {
        assert_eq!(fixed(text, scale, "0", unit), value, "{text} * {scale}");
    }
}

#[test]
fn knows_what_is_a_number() {
    for text in
        ["", "+", "-", ".", "e5", "1e", "1e+", "1.e", "0x1", "1_0", "NaN", "inf", " 1", "1 ", "--1", "1.2.3", "é"]
    {
        assert!(Number::parse(text).is_none(), "{text}");
        assert!(Rational::parse(text).is_none(), "{text}");
    }
    for text in ["1.", ".5", "+1", "007", "1E5", "1e+5", "-.5e-5"] {
        assert!(Number::parse(text).is_some(), "{text}");
    }
}

fn decimal_text() -> impl Strategy<Value = String> {
    let halves = "-?[0-9]{0,11}[05]?\\.[0-9]{0,9}[05]{1,2}0{0,30}[01]?";
    prop_oneof![
        "[+-]?[0-9]{1,12}(\\.[0-9]{0,12})?",
        halves,
        "-?[0-9]{0,40}\\.[0-9]{1,60}([eE][+-]?[0-9]{1,2})?",
        "-?[0-9]{1,4}(\\.[0-9]{1,9})?[eE][+-]?[0-9]{1,3}",
        "-?0\\.0{0,90}[0-9]{1,30}",
    ]
}

proptest! {
    #![proptest_config(super::cases(4000))]

    #[test]
    fn equals_the_rational_result(
        text in decimal_text(),
        scale in prop_oneof![Just("1"), Just("-1"), Just("0.1"), Just("3"), Just("1e-9"), Just("1234567.89"), Just("1e17"), Just("999999999999999999e-36")],
        offset in prop_oneof![Just("0"), Just("-273.15"), Just("0.5"), Just("1e-36"), Just("-999999999999999999"), Just("5e-10")],
        unit in prop_oneof![Just(-9), Just(0), Just(-18), Just(18), Just(-1)],
    ) {
        let exact = (Rational::of(&text) * Rational::of(scale) + Rational::of(offset)).round(unit.into());
        let expected = i64::try_from(exact).map_err(|_| NumberFault::OutOfRange);
        prop_assert_eq!(fixed(&text, scale, offset, unit), expected);
    }

    #[test]
    fn floors_like_the_rational(text in decimal_text(), shift in -9i64..=9) {
        let floor = Number::parse(&text).expect("a number").floor(shift);
        let mut exact = Rational::of(&text);
        exact.exponent += shift;
        let exact = i64::try_from(exact.floor(0)).ok();
        // At most 18 digits are left of the point; rounding down may make -10^18 of them.
        let limit = 1_000_000_000_000_000_000;
        if exact != Some(-limit) {
            prop_assert_eq!(floor, exact.filter(|value| (-limit..limit).contains(value)));
        }
    }

    #[test]
    fn the_normal_range_holds_what_is_normal(
        mu in "-?[0-9]{1,9}(\\.[0-9]{1,9})?", sigma in "[0-9]{1,3}(\\.[0-9]{1,12})?", k in "[0-9](\\.[0-9]{1,3})?", step in -2i64..=2, high: bool,
    ) {
        let [mu_at, sigma_at, k_at] = [&mu, &sigma, &k].map(|text| Constant::parse(text).expect("a constant"));
        let (least, largest) = normal_range(mu_at, sigma_at, k_at, -9);
        let value = (if high { largest } else { least } as i64) + step;
        let exact = Rational { mantissa: value.into(), exponent: -9 };
        let spread = Rational::of(&k) * Rational::of(&sigma);
        let outlier = exact.clone().exceeds(Rational::of(&mu) + spread.clone()) || (Rational::of(&mu) - spread).exceeds(exact);
        prop_assert_eq!(!(least..=largest).contains(&value.into()), outlier);
    }
}
