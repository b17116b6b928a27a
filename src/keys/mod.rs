//! 3 · Readings → keys. A view groups by fields: regions, labels, tenants; what a reading has of
//! them is its key. Keys are found a column at a time, and mostly those of batches before ([`lexicon`]) are found
//! again. Pure, but for the numbers that they have in a batch.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::locate::RegionIdx;
use crate::reading::{Batch, Columns};

mod lexicon;
mod list;

use lexicon::Lexicon;
pub use list::{KeyList, Origin};

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
    pub keys: KeyList,
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
    fixed: Option<KeyList>,
    /// Of all threads that decode the stream. What numbers keys have depends on which was first; which keys, does not.
    lexicon: Arc<Mutex<Lexicon>>,
}

impl Grouping {
    pub fn new(fields: Vec<Field>, tenants: bool) -> Grouping {
        let no_tenant: Arc<str> = Arc::from("");
        let key = |code: &Arc<str>| Key { tenant: no_tenant.clone(), text: escaped(code) };
        let fixed = match fields.as_slice() {
            [Field::Region { codes, .. }] if !tenants => Some(codes.iter().map(key).collect()),
            _ => None,
        };
        Grouping { lexicon: Arc::new(Mutex::new(Lexicon::new(fields.len()))), fields, fixed }
    }

    /// `regions`: of each set in use, the region of each reading.
    pub fn keys(&self, columns: &Columns, regions: &[Vec<Option<RegionIdx>>]) -> KeyColumn {
        if let (Some(keys), [Field::Region { set, .. }]) = (&self.fixed, self.fields.as_slice()) {
            let of = regions[*set].iter().map(|region| region.map_or(OUTSIDE, |region| region.index() as u32));
            return KeyColumn { of: of.collect(), keys: keys.clone() };
        }
        // (Should a thread have broken off amid a batch, what it left is not used.)
        if let Ok(mut lexicon) = self.lexicon.lock()
            && !lexicon.rests(columns.len())
        {
            return self.find(&mut lexicon, columns, regions);
        }
        self.find(&mut Lexicon::once(self.fields.len()), columns, regions)
    }

    fn find(&self, lexicon: &mut Lexicon, columns: &Columns, regions: &[Vec<Option<RegionIdx>>]) -> KeyColumn {
        let mut of = lexicon.tenants(columns.tenants.as_ref(), columns.len());
        for (number, field) in self.fields.iter().enumerate() {
            match field {
                Field::Region { set, codes } => {
                    let regions = &regions[*set];
                    let part = |row: usize| regions[row].map_or(OUTSIDE, |region| region.index() as u32);
                    lexicon.append(number, &mut of, codes.len(), part, |_, region| &codes[region as usize]);
                }
                Field::Label(None) => of.fill(UNKEYED),
                Field::Label(Some(label)) => {
                    let column = &columns.labels[*label];
                    let (numbers, values) = lexicon.numbers(number + 1, &column.texts);
                    let part = |row: usize| column.get(row).map_or(UNKEYED, |text| numbers[text as usize]);
                    let text = |row: usize, _| &column.texts[column.get(row).unwrap_or_default() as usize];
                    lexicon.append(number, &mut of, values, part, text);
                }
            }
        }
        let keys = lexicon.end(&of);
        KeyColumn { of, keys }
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
    use crate::reading::TextColumn;

    pub(super) fn texts(values: &[Option<&str>]) -> TextColumn {
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
            key => format!("{}:{}", column.keys.get(key).tenant, column.keys.get(key).text),
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
        assert!(one.keys.is_of(&two.keys.origin()));
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
        let taken_apart = super::labels(&names, &column.keys.get(column.of[1]).text);
        assert_eq!(taken_apart["site"], "50%");
        assert_eq!((taken_apart["region"].as_str(), taken_apart["kind"].as_str()), ("11", "y"));
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
                let apart = super::labels(&names, &column.keys.get(*of).text);
                prop_assert_eq!((&apart["a"], &apart["b"]), (a, b));
            }
        }
    }
}
