//! JSON objects.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};

/// A `T` that was written as a JSON object. serde would take an array of the fields' values for a struct as well.
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
    }
}

/// Reads a field that must be there, though it may be null. serde would take a missing one for null.
pub(crate) fn nullable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Inner {
        n: u64,
    }

    #[derive(Debug, Deserialize)]
    struct Outer {
        #[serde(deserialize_with = "nullable")]
        inner: Option<Object<Inner>>,
    }

    #[test]
    fn reads_objects_only_at_every_depth() {
        let rows = [
            (r#"{"inner":{"n":1,"unknown":[]},"unknown":1}"#, Some(Some(1))),
            (r#"{"inner":null}"#, Some(None)),
            (r#"{}"#, None),
            (r#"[{"n":1}]"#, None),
            (r#"{"inner":[1]}"#, None),
            (r#"{"inner":{}}"#, None),
            (r#"{"inner":{"n":null}}"#, None),
            (r#"{"inner":{"n":1.0}}"#, None),
            (r#"{"inner":{"n":"1"}}"#, None),
            (r#"{"inner":{"n":1,"n":2}}"#, None),
            (r#"{"inner":null} x"#, None),
            ("null", None),
            ("", None),
        ];
        for (json, expected) in rows {
            let read = serde_json::from_str::<Object<Outer>>(json).ok();
            assert_eq!(
                read.map(|Object(outer)| outer.inner.map(|Object(inner)| inner.n)),
                expected,
                "{json}"
            );
        }
    }
}
