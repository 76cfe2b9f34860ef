//! The JSON around an answer, read with bounds: what is over them is counted and not kept.
//!
//! An element that is kept costs hundreds of times what it costs to pass over it, so no more of them are kept than may
//! be there.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Most elements of a result that anybody may ask for.
pub(crate) const ITEMS_MAX: usize = 100_000;
/// Most warnings, and most infos, that are kept.
const TEXTS_MAX: usize = 32;

/// Prometheus' envelope (HTTP API, "Format overview"), with VictoriaMetrics' `isPartial`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope<'a> {
    pub(crate) status: String,
    #[serde(borrow)]
    pub(crate) data: Option<Data<'a>>,
    #[serde(default, deserialize_with = "text_or_number")]
    pub(crate) error_type: Option<String>,
    pub(crate) error: Option<String>,
    #[serde(default)]
    pub(crate) warnings: Texts,
    #[serde(default)]
    pub(crate) infos: Texts,
    #[serde(default, deserialize_with = "null_is_false")]
    pub(crate) is_partial: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Data<'a> {
    #[serde(default)]
    pub(crate) result_type: String,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

impl Data<'_> {
    /// The result's elements, of which so many may be there.
    pub(crate) fn items(&self, most: usize) -> serde_json::Result<Items> {
        let Some(result) = self.result else { return Ok(Items::default()) };
        Bounded(most).deserialize(&mut serde_json::Deserializer::from_str(result.get()))
    }
}

/// The elements of `result`: so many as may be there and one more, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Items {
    pub(crate) kept: Vec<Item>,
    pub(crate) seen: usize,
}

/// One element of `result`.
#[derive(Debug)]
pub(crate) enum Item {
    /// Of a vector, or of a matrix; `value` is absent for histograms and matrices.
    Series { labels: BTreeMap<String, String>, value: Option<String> },
    /// The time of a scalar.
    Number,
    /// The value of a scalar.
    Text(String),
}

/// Some texts; `null` is none.
#[derive(Debug, Default)]
pub(crate) struct Texts(pub(crate) Vec<String>);

/// What gateways of the large clouds say in place of an envelope: Google's `{"error": {"message", "status"}}`,
/// Amazon's `{"message"}`, others' `{"error"}`.
pub(crate) fn gateway_text(body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Gateway {
        #[serde(alias = "Message")]
        message: Option<String>,
        error: Option<Said>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Said {
        Text(String),
        Object { message: String, status: Option<String> },
    }
    let gateway: Gateway = serde_json::from_slice(body).ok()?;
    match (gateway.error, gateway.message) {
        (Some(Said::Object { message, status: Some(status) }), _) => Some(format!("{status}: {message}")),
        (Some(Said::Object { message, status: None }), _) | (None, Some(message)) => Some(message),
        (Some(Said::Text(error)), Some(message)) => Some(format!("{error}: {message}")),
        (Some(Said::Text(error)), None) => Some(error),
        (None, None) => None,
    }
}

fn null_is_false<'de, D: Deserializer<'de>>(d: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(d)?.unwrap_or_default())
}

fn text_or_number<'de, D: Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Text(String),
        Number(u64),
    }
    Ok(Option::<Either>::deserialize(d)?.map(|either| match either {
        Either::Text(text) => text,
        Either::Number(number) => number.to_string(),
    }))
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of texts")
            }

            fn visit_unit<E>(self) -> Result<Texts, E> {
                Ok(Texts::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while texts.len() < TEXTS_MAX {
                    match seq.next_element()? {
                        Some(text) => texts.push(text),
                        None => return Ok(Texts(texts)),
                    }
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Texts(texts))
            }
        }
        d.deserialize_any(Read)
    }
}

/// Reads [`Items`] that may be so many.
struct Bounded(usize);

impl<'de> DeserializeSeed<'de> for Bounded {
    type Value = Items;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Items, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded {
    type Value = Items;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    /// An empty vector of servers that write Go's nil slice.
    fn visit_unit<E>(self) -> Result<Items, E> {
        Ok(Items::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Items, A::Error> {
        let mut kept = Vec::new();
        while kept.len() <= self.0 {
            match seq.next_element()? {
                Some(item) => kept.push(item),
                None => return Ok(Items { seen: kept.len(), kept }),
            }
        }
        let mut seen = kept.len();
        while seq.next_element::<IgnoredAny>()?.is_some() {
            seen += 1;
        }
        Ok(Items { kept, seen })
    }
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Item;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a series, or the time or value of a scalar")
            }

            fn visit_u64<E>(self, _: u64) -> Result<Item, E> {
                Ok(Item::Number)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Item, E> {
                Ok(Item::Number)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Item, E> {
                Ok(Item::Number)
            }

            fn visit_str<E>(self, text: &str) -> Result<Item, E> {
                Ok(Item::Text(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
                let (mut labels, mut value) = (BTreeMap::new(), None);
                while let Some(key) = map.next_key::<String>()? {
                    match key.as_str() {
                        "metric" => labels = map.next_value()?,
                        "value" => {
                            value = map.next_value::<Option<(IgnoredAny, String)>>()?.map(|(_, text)| text)
                        }
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Item::Series { labels, value })
            }
        }
        d.deserialize_any(Read)
    }
}
