//! The library as its host calls it: msgpack in, msgpack out.
//!
//! Called through the table of `lib.rs`, on any thread. Invariant: it keeps no state.

use pit::library::export::{Exported, Refusal, Services};
use serde::Deserialize;

use crate::names::vocabulary;

/// How many words and names are listed where the caller does not say.
const TOP: usize = 10;

/// The library.
#[derive(Debug)]
pub(crate) struct Words;

/// The inputs of the operation `words`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inputs {
    source: String,
    #[serde(default)]
    top: Option<usize>,
}

impl Exported for Words {
    fn start(_host: Services) -> Result<Self, String> {
        Ok(Self)
    }

    fn call(&self, operation: &str, input: &[u8]) -> Result<Vec<u8>, Refusal> {
        if operation != "words" {
            return Err(Refusal::Unknown);
        }
        let inputs: Inputs =
            rmp_serde::from_slice(input).map_err(|fault| format!("inputs of `words`: {fault}"))?;
        let found = vocabulary(&inputs.source, inputs.top.unwrap_or(TOP));
        rmp_serde::to_vec_named(&found).map_err(|fault| Refusal::Failed(fault.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pit::library::export::{Exported, Refusal};
    use serde::Deserialize;

    use super::Words;

    #[derive(Deserialize)]
    struct Found {
        names: usize,
        readability: f64,
        words: Vec<Word>,
    }

    #[derive(Deserialize)]
    struct Word {
        word: String,
        count: usize,
    }

    fn call(inputs: &BTreeMap<&str, &str>) -> Result<Vec<u8>, Refusal> {
        let input = rmp_serde::to_vec_named(inputs).expect("texts can be written");
        Words.call("words", &input)
    }

    #[test]
    fn a_source_gives_its_vocabulary() {
        let output = call(&BTreeMap::from([("source", "read_file(path)\n")])).expect("it answers");
        let found: Found = rmp_serde::from_slice(&output).expect("it is a map by names");
        assert_eq!((found.names, found.words.len()), (2, 3));
        assert!((found.readability - 1.0).abs() < f64::EPSILON);
        assert_eq!((found.words[0].word.as_str(), found.words[0].count), ("file", 1));
    }

    #[test]
    fn wrong_inputs_are_named() {
        let refusal = call(&BTreeMap::from([("text", "x")])).expect_err("it refuses");
        let Refusal::Failed(reason) = refusal else { panic!("another refusal") };
        assert!(reason.contains("unknown field `text`"), "{reason}");
    }

    #[test]
    fn another_operation_is_unknown() {
        assert_eq!(Words.call("count", &[0x80]), Err(Refusal::Unknown));
    }
}
