//! JSON to the values of a lane and back, without a form in between.
//!
//! Invariant: a value is taken over or refused, never changed: bytes, numbers that are not finite and numbers beyond 64 bits
//! have no form on the other side.

use std::fmt;

use ipc::Value;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{Error as _, Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

/// Reads one value.
pub(crate) fn parse(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice::<Read>(bytes).map(|read| read.0)
}

/// Writes one value.
pub(crate) fn write(value: &Value) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::to_vec(&Written(value))
}

/// The same as text, for people.
pub(crate) fn text(value: &Value) -> String {
    write(value).map_or_else(
        |error| format!("<{error}>"),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    )
}

struct Read(Value);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::None)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number)
            .map(Value::Int)
            .map_err(|_| E::custom(format_args!("{number} does not fit 64 bits")))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Read>()? {
            list.push(item.0);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map: Vec<(String, Value)> = Vec::new();
        while let Some((key, value)) = entries.next_entry::<String, Read>()? {
            if map.len() >= ipc::MAX_VALUES {
                return Err(A::Error::custom("the object has too many members"));
            }
            map.push((key, value.0));
        }
        Ok(Value::Map(map))
    }
}

struct Written<'a>(&'a Value);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, into: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::None => into.serialize_unit(),
            Value::Bool(flag) => into.serialize_bool(*flag),
            Value::Int(number) => into.serialize_i64(*number),
            Value::Float(number) if number.is_finite() => into.serialize_f64(*number),
            Value::Float(number) => {
                Err(S::Error::custom(format_args!("{number} is no number of JSON")))
            }
            Value::Text(text) => into.serialize_str(text),
            Value::Bytes(_) => Err(S::Error::custom("bytes are no value of JSON")),
            Value::List(items) => {
                let mut list = into.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Written(item))?;
                }
                list.end()
            }
            Value::Map(entries) => {
                let mut map = into.serialize_map(Some(entries.len()))?;
                for (key, value) in entries {
                    map.serialize_entry(key, &Written(value))?;
                }
                map.end()
            }
        }
    }
}

/// A map of these entries.
pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// Takes an entry out of a map, the last of several.
pub(crate) fn take(value: &mut Value, key: &str) -> Option<Value> {
    let Value::Map(entries) = value else { return None };
    let at = entries.iter().rposition(|(name, _)| name == key)?;
    Some(entries.remove(at).1)
}

#[cfg(test)]
mod tests {
    use ipc::Value;

    use super::{parse, write};

    #[test]
    fn what_both_sides_know_comes_back_as_it_was() {
        for text in
            ["null", "true", "[1,-2,0.5,\"\\u0000é😀\",{\"b\":{},\"a\":[]}]", "9223372036854775807"]
        {
            let value = parse(text.as_bytes()).unwrap();
            assert_eq!(parse(&write(&value).unwrap()).unwrap(), value);
        }
        let map = parse(b"{\"b\":1,\"a\":2}").unwrap();
        assert_eq!(write(&map).unwrap(), b"{\"b\":1,\"a\":2}");
    }

    #[test]
    fn what_has_no_form_is_refused() {
        assert!(parse(b"9223372036854775808").is_err());
        assert!(parse(b"1e999").is_err());
        assert!(write(&Value::Float(f64::NAN)).is_err());
        assert!(write(&Value::List(vec![Value::from(vec![1_u8])])).is_err());
        assert!(parse("[".repeat(100_000).as_bytes()).is_err());
    }
}
