//! The flow log in JSON, taken apart.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

static SCHEMA: LazyLock<Validator> = LazyLock::new(|| {
    let text = include_str!("../../../docs/flow-log.schema.json");
    let schema = serde_json::from_str(text).expect("the published schema");
    jsonschema::draft202012::new(&schema).expect("the published schema")
});

/// Lines in their order.
#[derive(Debug, Default)]
pub struct Events(pub Vec<Value>);

impl Events {
    /// Every complete line, each of them valid.
    pub fn parse(text: &str) -> Self {
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let parse = |line| {
            let event = serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("not JSON: {error}: {line}"));
            SCHEMA.validate(&event).unwrap_or_else(|error| panic!("{error}: {line}"));
            event
        };
        Self(complete.lines().map(parse).collect())
    }

    /// Events of a protocol between two addresses, whoever began.
    pub fn between(&self, protocol: &str, one: &str, other: &str) -> Vec<&Value> {
        let ends = |event: &&Value| {
            let client = event["client"]["address"].as_str();
            let server = event["server"]["address"].as_str();
            (client == Some(one) && server == Some(other))
                || (client == Some(other) && server == Some(one))
        };
        self.0.iter().filter(|event| event["protocol"] == protocol).filter(ends).collect()
    }

    /// The numbers of flows that have such an event.
    pub fn flows(&self, event: &str) -> Vec<u64> {
        let all = self.0.iter().filter(|line| line["event"] == event);
        all.map(|line| line["flow_id"].as_u64().expect("a number")).collect()
    }
}

/// Packets and bytes of one direction, `sent` or `received`.
pub fn tally(event: &Value, direction: &str) -> (u64, u64) {
    let number = |field: &str| event[direction][field].as_u64().expect("a number");
    (number("packets"), number("bytes"))
}

/// Name and kind of one end, `client` or `server`.
pub fn end<'a>(event: &'a Value, end: &str) -> (&'a str, &'a str) {
    let word = |field: &str| event[end][field].as_str().expect("a word");
    (word("name"), word("kind"))
}
