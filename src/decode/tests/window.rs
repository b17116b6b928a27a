//! Windows against the buffer that they show.

use proptest::prelude::*;

use crate::decode::swar::end_of_plain;
use crate::decode::window::{READING, Windows};

proptest! {
    #![proptest_config(super::cases(200))]

    #[test]
    fn a_window_shows_the_buffer_and_zeros_behind_it(
        pattern in prop::collection::vec(any::<u8>(), 1..40), length in 0usize..3 * READING, places in prop::collection::vec((0usize..3 * READING, 0usize..2 * READING), 20),
    ) {
        let bytes: Vec<u8> = pattern.iter().copied().cycle().take(length).collect();
        let windows = Windows::new(&bytes);
        for (at, reading) in places.into_iter().chain([(length, 1), (length.saturating_sub(READING), READING)]) {
            let at = at.min(length);
            let window = windows.at(at, at + reading);
            prop_assert_eq!(window.limit(), reading.min(READING));
            for offset in [0, 1, 15, 16, reading / 2, reading.saturating_sub(1), reading, READING - 1, READING] {
                let shown = |of: usize| bytes.get(at + of).copied().unwrap_or(0);
                let is_within = offset < reading.min(READING);
                prop_assert_eq!(window.byte(offset), is_within.then(|| shown(offset)));
                let sixteen = is_within.then(|| std::array::from_fn(|of| shown(offset + of)));
                prop_assert_eq!(window.sixteen(offset).copied(), sixteen);
            }
        }
    }

    #[test]
    fn a_string_ends_at_its_quote(text in "[ -~é\n\\\\\"]{0,60}", behind in "[,}a\"]{0,20}") {
        let bytes = format!("\"{text}\"{behind}");
        let end = end_of_plain(bytes.as_bytes(), 1);
        let found = Windows::new(bytes.as_bytes()).at(0, bytes.len()).text(0);
        prop_assert_eq!(found, (bytes.as_bytes()[end] == b'"').then_some(end));
    }
}
