//! Which entry a part has, however entries come and go.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::commit::Tally;
use crate::partition::Leaving;
use crate::partition::grain::{Found, Grain};
use crate::reading::Offset;

#[derive(Clone, Debug)]
enum Step {
    Ask { key: u32, hour: i64 },
    Evict,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![8 => (0u32..6, 0i64..4).prop_map(|(key, hour)| Step::Ask { key, hour }), 1 => Just(Step::Evict)]
}

proptest! {
    /// As long as it stays in memory, a part has one entry, and no other part has it.
    #[test]
    fn a_part_keeps_its_entry_while_it_is_held(steps in prop::collection::vec(step(), 1..80)) {
        let mut grain = Grain::new("1h".parse().unwrap(), Tally::new(1));
        let mut held: BTreeMap<(u32, i64), u32> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Ask { key, hour } => {
                    let (entry, found) = grain.entry(key, hour * 3_600_000, None, 1);
                    prop_assert_eq!(found == Found::Held, held.contains_key(&(key, hour)));
                    prop_assert_eq!(*held.entry((key, hour)).or_insert(entry), entry);
                    prop_assert_eq!(held.values().filter(|other| **other == entry).count(), 1);
                }
                // Nothing has been folded: all of them may go.
                Step::Evict => {
                    let leaving = Leaving::Committed { untouched_since: 0 };
                    let evicted = grain.evict((Offset(0), Offset(0)), leaving, |_, _| {});
                    prop_assert_eq!(evicted, held.len());
                    held.clear();
                }
            }
            prop_assert_eq!(grain.len(), held.len());
        }
    }
}
