//! 3 · Readings → keys. A view groups by fields: regions, labels, tenants; what a reading has of
//! them is its key. Keys are found a column at a time, and each distinct one of a batch is made
//! once. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::locate::RegionIdx;
use crate::reading::{Batch, Columns, TextColumn};

/// The reading lies in none of the grouping's regions.
pub const OUTSIDE: u32 = u32::MAX;
/// The reading has nothing in a field that the grouping needs.
pub const UNKEYED: u32 = u32::MAX - 1;

/// What a row is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// Empty where the stream has no tenants.
    pub tenant: Arc<str>,
    /// The fields' texts, escaped and joined: see [`join`].
    pub text: Arc<str>,
}

/// A key for every reading of a batch.
#[derive(Clone, Debug)]
pub struct KeyColumn {
    /// Index into `keys`, or [`OUTSIDE`], or [`UNKEYED`].
    pub of: Vec<u32>,
    /// The same allocation from batch to batch where the keys are always the same ones.
    pub keys: Arc<[Key]>,
}

/// A decoded batch with the keys of each reading.
#[derive(Clone, Debug)]
pub struct Keyed {
    pub batch: Batch,
    /// One for every view that the stream feeds, in their order.
    pub keys: Vec<KeyColumn>,
}

/// A field of a grouping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// The regions of a set in use: which of the located columns, and the regions' codes.
    Region { set: usize, codes: Arc<[Arc<str>]> },
    /// A label of the stream: which of its columns; none where this stream has no such label.
    Label(Option<usize>),
}

/// How the readings of a stream are grouped for a view.
#[derive(Clone, Debug)]
pub struct Grouping {
    fields: Vec<Field>,
    /// The keys where nothing but the region decides, and the stream has no tenants.
    fixed: Option<Arc<[Key]>>,
}

impl Grouping {
    pub fn new(fields: Vec<Field>, tenants: bool) -> Grouping {
        let no_tenant: Arc<str> = Arc::from("");
        let key = |code: &Arc<str>| Key { tenant: no_tenant.clone(), text: escaped(code) };
        let fixed = match fields.as_slice() {
            [Field::Region { codes, .. }] if !tenants => Some(codes.iter().map(key).collect()),
            _ => None,
        };
        Grouping { fields, fixed }
    }

    /// `regions`: of each set in use, the region of each reading.
    pub fn keys(&self, columns: &Columns, regions: &[Vec<Option<RegionIdx>>]) -> KeyColumn {
        if let (Some(keys), [Field::Region { set, .. }]) = (&self.fixed, self.fields.as_slice()) {
            let of = regions[*set].iter().map(|region| region.map_or(OUTSIDE, |region| region.index() as u32));
            return KeyColumn { of: of.collect(), keys: keys.clone() };
        }
        let mut growing = Growing::of_tenants(columns);
        for (number, field) in self.fields.iter().enumerate() {
            match field {
                Field::Region { set, codes } => {
                    let part = |row: usize| regions[*set][row].map_or(OUTSIDE, |region| region.index() as u32);
                    growing.append(number, codes.len(), part, |region| &codes[region as usize]);
                }
                Field::Label(None) => growing.of.fill(UNKEYED),
                Field::Label(Some(label)) => {
                    let column = &columns.labels[*label];
                    let part = |row: usize| column.get(row).unwrap_or(UNKEYED);
                    growing.append(number, column.texts.len(), part, |text| column.text(text));
                }
            }
        }
        KeyColumn { of: growing.of, keys: growing.keys.into() }
    }
}

/// Keys of which the first fields are known.
struct Growing {
    of: Vec<u32>,
    keys: Vec<Key>,
}

impl Growing {
    fn of_tenants(columns: &Columns) -> Growing {
        let key = |tenant: &Arc<str>| Key { tenant: tenant.clone(), text: Arc::from("") };
        match &columns.tenants {
            None => Growing { of: vec![0; columns.len()], keys: vec![key(&Arc::from(""))] },
            Some(TextColumn { of, texts }) => {
                let of = of.iter().map(|tenant| tenant.unwrap_or(UNKEYED)).collect();
                Growing { of, keys: texts.iter().map(key).collect() }
            }
        }
    }

    /// Adds a field: `part` is its value in each row, one of so many `values`, `text` the value's text. What one field
    /// misses the others cannot mend.
    fn append<'t>(
        &mut self,
        number: usize,
        values: usize,
        part: impl Fn(usize) -> u32,
        text: impl Fn(u32) -> &'t Arc<str>,
    ) {
        let mut known = Pairs::new(self.keys.len(), values);
        let mut keys: Vec<Key> = Vec::new();
        // Neighbouring readings often have the same key.
        let mut last = ((UNKEYED, UNKEYED), UNKEYED);
        for (row, of) in self.of.iter_mut().enumerate() {
            let pair = (*of, part(row));
            if pair == last.0 {
                *of = last.1;
                continue;
            }
            *of = match pair {
                (OUTSIDE | UNKEYED, _) => pair.0,
                (_, OUTSIDE | UNKEYED) => pair.1,
                (before, value) => known.number(before, value, || {
                    let Key { tenant, text: start } = &self.keys[before as usize];
                    let text = if number == 0 { escaped(text(value)) } else { join(start, text(value)) };
                    keys.push(Key { tenant: tenant.clone(), text });
                    keys.len() as u32 - 1
                }),
            };
            last = (pair, *of);
        }
        self.keys = keys;
    }
}

/// The numbers of pairs that have occurred.
enum Pairs {
    /// A place for each pair that there may be, where they are not many.
    Dense {
        values: usize,
        numbers: Vec<u32>,
    },
    Sparse(FxHashMap<(u32, u32), u32>),
}

impl Pairs {
    /// Places in a table, at most.
    const MOST: usize = 1 << 14;

    fn new(befores: usize, values: usize) -> Pairs {
        match befores.checked_mul(values) {
            Some(places) if places <= Pairs::MOST => Pairs::Dense { values, numbers: vec![UNKEYED; places] },
            _ => Pairs::Sparse(FxHashMap::default()),
        }
    }

    #[inline]
    fn number(&mut self, before: u32, value: u32, new: impl FnOnce() -> u32) -> u32 {
        match self {
            Pairs::Sparse(known) => *known.entry((before, value)).or_insert_with(new),
            Pairs::Dense { values, numbers } => {
                let number = &mut numbers[before as usize * *values + value as usize];
                if *number == UNKEYED {
                    *number = new();
                }
                *number
            }
        }
    }
}

/// The key of a field: mostly its text as it is.
fn escaped(text: &Arc<str>) -> Arc<str> {
    match escape(text) {
        Cow::Borrowed(_) => text.clone(),
        Cow::Owned(escaped) => escaped.into(),
    }
}

/// The key of one more field: `start/text`.
fn join(start: &str, text: &str) -> Arc<str> {
    format!("{start}/{}", escape(text)).into()
}

/// `%` is written `%25` and `/` is `%2F`, so that a key can be taken apart again.
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(['%', '/']) {
        Cow::Owned(text.replace('%', "%25").replace('/', "%2F"))
    } else {
        Cow::Borrowed(text)
    }
}

/// The fields of a key by name: the inverse of joining.
pub fn labels(names: &[Arc<str>], key: &str) -> BTreeMap<String, String> {
    let unescape = |text: &str| text.replace("%2F", "/").replace("%25", "%");
    names.iter().zip(key.split('/')).map(|(name, text)| (name.to_string(), unescape(text))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(values: &[Option<&str>]) -> TextColumn {
        let mut column = TextColumn::default();
        for value in values {
            let known = value.map(|value| {
                column.texts.iter().position(|text| &**text == value).unwrap_or_else(|| {
                    column.texts.push(value.into());
                    column.texts.len() - 1
                }) as u32
            });
            column.of.push(known);
        }
        column
    }

    fn columns(tenants: Option<TextColumn>, labels: Vec<TextColumn>) -> Columns {
        let rows = labels[0].of.len();
        Columns { tenants, labels, index: vec![0; rows], ..Columns::default() }
    }

    fn shown(column: &KeyColumn) -> Vec<String> {
        let show = |of: &u32| match *of {
            OUTSIDE => "outside".to_owned(),
            UNKEYED => "unkeyed".to_owned(),
            key => format!("{}:{}", column.keys[key as usize].tenant, column.keys[key as usize].text),
        };
        column.of.iter().map(show).collect()
    }

    fn region(index: u32) -> Option<RegionIdx> {
        RegionIdx::from_index(index)
    }

    #[test]
    fn regions_alone_have_the_same_keys_in_every_batch() {
        let codes: Arc<[Arc<str>]> = ["11", "53"].map(Arc::from).into();
        let grouping = Grouping::new(vec![Field::Region { set: 0, codes }], false);
        let columns = columns(None, vec![texts(&[None, None, None])]);
        let regions = [vec![region(1), None, region(0)]];
        let [one, two] = [0, 1].map(|_| grouping.keys(&columns, &regions));
        assert_eq!(shown(&one), [":53", "outside", ":11"]);
        assert!(Arc::ptr_eq(&one.keys, &two.keys));
    }

    #[test]
    fn tenants_fields_and_regions_make_one_key() {
        let codes: Arc<[Arc<str>]> = ["11", "53"].map(Arc::from).into();
        let fields = vec![Field::Label(Some(1)), Field::Region { set: 0, codes }, Field::Label(Some(0))];
        let labels = vec![
            texts(&[Some("x"), Some("y"), Some("x"), None, Some("x")]),
            texts(&[Some("a/b"), Some("50%"), Some("a/b"), Some("c"), None]),
        ];
        let tenants = texts(&[Some("t1"), Some("t2"), Some("t1"), Some("t1"), Some("t1")]);
        let column = Grouping::new(fields, true)
            .keys(&columns(Some(tenants), labels), &[vec![region(1), region(0), None, region(1), region(1)]]);
        assert_eq!(shown(&column), ["t1:a%2Fb/53/x", "t2:50%25/11/y", "outside", "unkeyed", "unkeyed"]);
        let names: Vec<Arc<str>> = ["site", "region", "kind"].map(Arc::from).to_vec();
        let taken_apart = super::labels(&names, &column.keys[column.of[1] as usize].text);
        assert_eq!(taken_apart["site"], "50%");
        assert_eq!((taken_apart["region"].as_str(), taken_apart["kind"].as_str()), ("11", "y"));
    }

    /// However many values there are.
    #[test]
    fn pairs_are_numbered_in_a_table_or_not() {
        let numbers = |befores: u32, values: u32| {
            let (mut known, mut count) = (Pairs::new(befores as usize, values as usize), 0);
            let pairs =
                [(0, 0), (0, values - 1), (befores - 1, 0), (0, 0), (befores - 1, values - 1), (befores - 1, 0)];
            pairs.map(|(before, value)| {
                known.number(before, value, || {
                    count += 1;
                    count
                })
            })
        };
        assert!(matches!(Pairs::new(128, 128), Pairs::Dense { .. }));
        assert!(matches!(Pairs::new(129, 128), Pairs::Sparse(_)));
        for (befores, values) in [(2, 2), (128, 128), (129, 128), (u32::MAX, u32::MAX)] {
            assert_eq!(numbers(befores, values), [1, 2, 3, 1, 4, 3], "{befores} × {values}");
        }
    }

    proptest! {
        /// Equal keys are equal fields, whatever these hold.
        #[test]
        fn keys_tell_all_fields_apart(rows in prop::collection::vec(("[a%/25F]{0,3}", "[a%/25F]{0,3}"), 1..20)) {
            let labels = vec![
                texts(&rows.iter().map(|(a, _)| Some(a.as_str())).collect::<Vec<_>>()),
                texts(&rows.iter().map(|(_, b)| Some(b.as_str())).collect::<Vec<_>>()),
            ];
            let grouping = Grouping::new(vec![Field::Label(Some(0)), Field::Label(Some(1))], false);
            let column = grouping.keys(&columns(None, labels), &[]);
            let names: Vec<Arc<str>> = ["a", "b"].map(Arc::from).to_vec();
            for (of, (a, b)) in column.of.iter().zip(&rows) {
                let apart = super::labels(&names, &column.keys[*of as usize].text);
                prop_assert_eq!((&apart["a"], &apart["b"]), (a, b));
            }
        }
    }
}
