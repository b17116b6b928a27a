//! Is this double the nearest one? By comparing whole numbers, not by computing another double.

use num_bigint::BigInt;

/// Doubles are whole multiples of 2⁻¹⁰⁷⁴.
const SHIFT: i64 = 1_074;

/// `value · 2^SHIFT`, exactly.
fn scaled(value: f64) -> BigInt {
    let bits = value.abs().to_bits();
    let (exponent, fraction) = ((bits >> 52) as i64, bits & ((1 << 52) - 1));
    let (mantissa, exponent) = if exponent == 0 { (fraction, 1) } else { (fraction | 1 << 52, exponent) };
    let magnitude = BigInt::from(mantissa) << (exponent - 1_075 + SHIFT) as u64;
    if value < 0.0 { -magnitude } else { magnitude }
}

/// `found` is the double nearest to `sum / (count · unit)`.
pub fn assert_mean(found: f64, sum: &BigInt, count: u64, unit: u64) {
    let denominator = BigInt::from(count) * unit;
    let exact = sum << SHIFT as u64;
    let distance = |double: f64| (scaled(double) * &denominator - &exact).magnitude().clone();
    let error = distance(found);
    assert!(error <= distance(found.next_up()) && error <= distance(found.next_down()), "{found} of {sum}/{count}");
}

/// `found` is the double nearest to `√(count·squares − sum²) / (count · unit)`: its square lies
/// between the squares of the middles to its neighbours.
pub fn assert_deviation(found: f64, sum: &BigInt, squares: &BigInt, count: u64, unit: u64) {
    let spread = (BigInt::from(count) * squares - sum * sum) << (2 * SHIFT + 2) as u64;
    let denominator = BigInt::from(count) * unit;
    let middle = |other: f64| {
        let twice = (scaled(found) + scaled(other)) * &denominator;
        &twice * &twice
    };
    assert!(spread <= middle(found.next_up()), "{found} is too small");
    assert!(found == 0.0 || middle(found.next_down()) <= spread, "{found} is too large");
}

#[test]
fn a_neighbour_is_not_the_nearest() {
    assert_mean(0.1, &1.into(), 1, 10);
    assert_mean(-1.0 / 3.0, &(-1).into(), 3, 1);
    assert!(std::panic::catch_unwind(|| assert_mean(0.1f64.next_up(), &1.into(), 1, 10)).is_err());
    assert_deviation(2.0, &40.into(), &232.into(), 8, 1);
    assert!(std::panic::catch_unwind(|| assert_deviation(2f64.next_down(), &40.into(), &232.into(), 8, 1)).is_err());
}
