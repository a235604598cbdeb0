//! The handshake: the guest says who it is and what it offers, the host welcomes or refuses it, the guest is ready.
//!
//! Payloads are msgpack maps with named fields; unknown fields are ignored, so that either side may say more later.

use serde::{Deserialize, Serialize};

/// The protocol versions that this build speaks, lowest and highest.
pub const PROTOCOL: (u16, u16) = (1, 1);

/// The operation that every guest may answer beside its own: a map of each operation's `input` and `output`, as JSON Schemas,
/// and its `description`. A guest that does not know it answers `unknown-operation`, as for any other.
pub const SCHEMAS: &str = "symphony.schemas";

/// One input of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// Whether a call must give it.
    #[serde(default)]
    pub required: bool,
}

/// An operation that a guest offers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its name.
    pub name: String,
    /// Its inputs.
    #[serde(default)]
    pub inputs: Vec<Input>,
    /// Whether its result is a stream.
    #[serde(default)]
    pub stream: bool,
    /// Whether it runs beside others: it holds up nobody who is called meanwhile.
    #[serde(default, rename = "async")]
    pub beside: bool,
    /// Whether it changes nothing: a server's call that was under way when the server ended is made again, once.
    #[serde(default)]
    pub reads: bool,
    /// What it does, for people.
    #[serde(default)]
    pub doc: String,
}

/// The guest's first frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol versions that it speaks, lowest and highest.
    pub protocol: (u16, u16),
    /// The extension's name.
    pub name: String,
    /// Its version.
    #[serde(default)]
    pub version: String,
    /// The language that it is written in.
    #[serde(default)]
    pub language: String,
    /// What it offers.
    #[serde(default)]
    pub operations: Vec<Operation>,
    /// What else it can do; words that this side does not know are ignored.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// What its start spent its time on: name, start and end in seconds of the monotonic clock.
    #[serde(default)]
    pub spans: Vec<(String, f64, f64)>,
}

impl Hello {
    /// A greeting of that name with nothing else said.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            protocol: PROTOCOL,
            name: name.into(),
            version: String::new(),
            language: String::new(),
            operations: Vec::new(),
            capabilities: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// The highest protocol version that both sides speak.
    pub fn agreed(&self) -> Option<u16> {
        let highest = self.protocol.1.min(PROTOCOL.1);
        (highest >= self.protocol.0.max(PROTOCOL.0)).then_some(highest)
    }
}

/// The host's answer to a guest that it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol version from here on.
    pub protocol: u16,
    /// How many calls may be pending on the lane, each way.
    pub queue: u32,
    /// Everything else, by name.
    #[serde(default)]
    pub settings: std::collections::BTreeMap<String, String>,
}

impl Welcome {
    /// A welcome with that queue and no further settings.
    pub fn new(queue: u32) -> Self {
        Self { protocol: PROTOCOL.1, queue, settings: std::collections::BTreeMap::new() }
    }
}

/// The host's answer to a guest that it does not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// The stable word of the reason.
    pub code: String,
    /// The reason.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::Hello;

    #[test]
    fn the_highest_common_version_is_agreed_or_none() {
        for (range, agreed) in
            [((1, 1), Some(1)), ((0, 9), Some(1)), ((2, 3), None), ((0, 0), None), ((9, 1), None)]
        {
            let hello = Hello { protocol: range, ..Hello::new("x") };
            assert_eq!(hello.agreed(), agreed, "{range:?}");
        }
    }
}
