//! Eight bytes at once against one by one.

use proptest::prelude::*;
use proptest::sample::select;

use crate::decode::decimal::Number;
use crate::decode::swar::{end_of_plain, plain_number};

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![30 => Just(b'a'), 1 => select(b"\"\\!#[]\x1f\x20\x00\x7f\x80\xa2\xdc\xff".to_vec()), 3 => any::<u8>()];
    prop::collection::vec(byte, 0..70)
}

proptest! {
    #![proptest_config(super::cases(20_000))]

    #[test]
    fn strings_end_where_they_end(bytes in bytes(), from in 0usize..70) {
        let from = from.min(bytes.len());
        let slow = bytes[from..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        prop_assert_eq!(end_of_plain(&bytes, from), slow.map_or(bytes.len(), |length| from + length));
    }

    #[test]
    fn numbers_are_what_they_are(before in "[0-9.]{0,9}", number in "-?[0-9]{1,21}(\\.[0-9]{0,21})?", after in prop_oneof![select(b",}eE. +:/-".to_vec()), any::<u8>().prop_filter("no digit", |byte| !byte.is_ascii_digit())], rest in "[0-9,]{0,9}", behind in 0usize..48) {
        let text = [before.as_bytes(), number.as_bytes(), &[after], rest.as_bytes(), &[b' '; 48][..behind]].concat();
        let (at, after) = (before.len(), char::from(after));
        let whole = number.trim_start_matches('-').split('.').next().unwrap_or_default();
        let digits = number.bytes().filter(u8::is_ascii_digit).count();
        let right = !whole.is_empty() && !number.ends_with('.') && (whole == "0" || !whole.starts_with('0')) && digits <= 19;
        match plain_number(&text, at) {
            // (Where the digits go on behind the number, it is another one.)
            Some(plain) if after == '.' && !number.contains('.') => prop_assert!(plain.end > at + number.len()),
            Some(plain) => {
                prop_assert!(right, "{}", number);
                prop_assert_eq!(plain.end, at + number.len());
                let parsed = Number::parse(&number);
                prop_assert_eq!(parsed, Some(Number::plain(&number, plain.negative, plain.mantissa, plain.decimals)));
            }
            // (Near the end of the bytes it need not be seen.)
            None => prop_assert!(!right || after == '.' || behind < 8, "{}", number),
        }
    }

    #[test]
    fn degrees_are_the_nearest_doubles(text in "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,22})?(e-?[0-9]{1,2})?") {
        let fast = Number::parse(&text).and_then(Number::to_f64);
        prop_assert_eq!(fast.map(f64::to_bits), text.parse().ok().map(f64::to_bits), "{}", text);
    }
}
