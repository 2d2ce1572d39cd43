//! Events taken apart as text: what is wanted of them is found, and nothing else is held in memory.

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{DRY_RUN, Entry, MODEL_ARNS, MOST_ENTRIES};
use crate::excerpt::quoted;

/// The fields of an object that mean something here, each as the text that it came as.
#[derive(Default)]
pub(super) struct Fields<'a> {
    pub(super) model_arns: Option<&'a RawValue>,
    pub(super) dry_run: Option<&'a RawValue>,
    pub(super) has_detail_type: bool,
    pub(super) source: Option<&'a RawValue>,
    pub(super) detail: Option<&'a RawValue>,
    /// The first field that a request does not have.
    pub(super) unknown: Option<String>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Fields::default();
        while let Some(field) = object.next_key::<String>()? {
            let value: &RawValue = object.next_value()?;
            match &*field {
                MODEL_ARNS => fields.model_arns = Some(value),
                DRY_RUN => fields.dry_run = Some(value),
                _ => {
                    match &*field {
                        "detail-type" => fields.has_detail_type = true,
                        "source" => fields.source = Some(value),
                        "detail" => fields.detail = Some(value),
                        _ => {}
                    }
                    fields.unknown.get_or_insert(field);
                }
            }
        }
        Ok(fields)
    }
}

/// A list of models as it came.
#[derive(Default)]
pub(super) struct List {
    pub(super) entries: Vec<Entry>,
    pub(super) length: usize,
    /// The first item that is neither a string nor null: its index, and what it is.
    pub(super) wrong: Option<(usize, String)>,
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List, A::Error> {
        let mut list = List::default();
        while list.length < MOST_ENTRIES && list.wrong.is_none() {
            let Some(item) = items.next_element::<&RawValue>()? else {
                return Ok(list);
            };
            match item.get() {
                "null" => list.entries.push(Entry::null()),
                text if text.starts_with('"') => {
                    let text: String = serde_json::from_str(text).map_err(A::Error::custom)?;
                    list.entries.push(Entry::new(&text));
                }
                _ => list.wrong = Some((list.length, describe(item))),
            }
            list.length += 1;
        }
        while items.next_element::<IgnoredAny>()?.is_some() {
            list.length += 1;
        }
        Ok(list)
    }
}

/// A value in a few words: its type, and itself where that can be no secret.
pub(super) fn describe(value: &RawValue) -> String {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'n') => "null".to_owned(),
        Some(b't' | b'f') => format!("the boolean `{text}`"),
        Some(b'"') => "a string".to_owned(),
        Some(b'[') => "an array".to_owned(),
        Some(b'{') => "an object".to_owned(),
        _ => format!("the number {}", quoted(text)),
    }
}
