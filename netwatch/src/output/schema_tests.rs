//! The schema against the records, docs/flow-log.schema.json and the tables of docs/flow-log.md (`UPDATE_DOCS=1` rewrites
//! both).

use std::{collections::BTreeSet, fmt::Write as _, sync::PoisonError};

use serde_json::{Map, Value, json};

use super::{
    Format, schema,
    tests::{PAGES, everything, formatter, project, write},
};

const DEFINITION: &str = "#/$defs/";

fn parsed() -> Value {
    serde_json::from_str(&schema()).unwrap()
}

fn records() -> Vec<Value> {
    let lines = write(&formatter(Format::Json), &everything());
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_record_is_valid() {
    let validator = jsonschema::draft202012::new(&parsed()).unwrap();
    assert!(jsonschema::draft202012::meta::is_valid(&parsed()));
    for record in records() {
        validator.validate(&record).unwrap_or_else(|error| panic!("{error}: {record}"));
    }
}

/// What a record could become without the schema, each of them an error.
#[test]
fn anything_else_is_not_valid() {
    let validator = jsonschema::draft202012::new(&parsed()).unwrap();
    let mut refused = 0;
    let mut refuse = |record: &Value| {
        assert!(!validator.is_valid(record), "{record}");
        refused += 1;
    };
    for record in records() {
        every_object(&record, "", &mut |pointer, object| {
            for (name, _) in object {
                let changed = |to: Value| {
                    let mut changed = record.clone();
                    changed.pointer_mut(pointer).unwrap()[name] = to;
                    changed
                };
                refuse(&changed(json!([[1]])));
                if !matches!(name.as_str(), "network" | "place" | "interface") {
                    refuse(&changed(Value::Null));
                }
            }
            let mut more = record.clone();
            more.pointer_mut(pointer).unwrap()["new"] = json!(1);
            refuse(&more);
        });
        for name in ["time", "event"] {
            let mut less = record.clone();
            less.as_object_mut().unwrap().remove(name);
            refuse(&less);
        }
        let mut other = record.clone();
        other["event"] = json!("other");
        refuse(&other);
    }
    assert!(refused > 1_000, "{refused}");
}

fn every_object(value: &Value, pointer: &str, visit: &mut impl FnMut(&str, &Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            visit(pointer, fields);
            for (name, value) in fields {
                every_object(value, &format!("{pointer}/{name}"), visit);
            }
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                every_object(value, &format!("{pointer}/{index}"), visit);
            }
        }
        _ => {}
    }
}

/// Otherwise the examples would not show all that there is.
#[test]
fn every_field_of_the_schema_is_in_a_record() {
    let schema = parsed();
    let mut described = BTreeSet::new();
    for (event, definition) in root(&schema) {
        fields(&schema, definition, &format!("{event}:"), &mut described);
    }
    let mut emitted = BTreeSet::new();
    for record in records() {
        let event = record["event"].as_str().unwrap();
        let event = if matches!(event, "start" | "update" | "end") { "flow" } else { event };
        paths(&record, &format!("{event}:"), &mut emitted);
    }
    // A name server is no container here, and a few of the other ends have no names of Compose.
    let never = |path: &str| {
        let (end, field) = path.rsplit_once('.').unwrap_or_default();
        let is_end = ["client", "server", "source", "destination"].iter().any(|e| end.ends_with(e));
        is_end
            && end != "flow:server"
            && matches!(field, "container_id" | "image" | "project" | "service" | "domain" | "mac")
    };
    let missing: Vec<_> = described.difference(&emitted).filter(|path| !never(path)).collect();
    assert!(missing.is_empty(), "in no record: {missing:?}");
}

/// The kinds of records, by the names of their definitions in lower case.
fn root(schema: &Value) -> Vec<(String, &Value)> {
    let all = schema["anyOf"].as_array().unwrap().iter();
    all.map(|one| {
        let name = one["$ref"].as_str().unwrap().strip_prefix(DEFINITION).unwrap();
        (name.to_lowercase(), &schema["$defs"][name])
    })
    .collect()
}

fn definition(property: &Value) -> Option<&str> {
    property["$ref"].as_str()?.strip_prefix(DEFINITION)
}

/// `a.b`, `seen[].ifindex`: the paths of all fields of a definition that are not objects themselves.
fn fields(schema: &Value, value: &Value, path: &str, found: &mut BTreeSet<String>) {
    if let Some(name) = definition(value) {
        fields(schema, &schema["$defs"][name], path, found);
    } else if let Some(properties) = value["properties"].as_object() {
        for (name, property) in properties {
            fields(schema, property, &below(path, name), found);
        }
    } else if value["items"].is_object() {
        fields(schema, &value["items"], &format!("{path}[]"), found);
    } else {
        found.insert(path.to_owned());
    }
}

/// The same of a record.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                paths(value, &below(path, name), found);
            }
        }
        Value::Array(values) => {
            for value in values {
                paths(value, &format!("{path}[]"), found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

fn below(path: &str, name: &str) -> String {
    if path.ends_with(':') { format!("{path}{name}") } else { format!("{path}.{name}") }
}

#[test]
fn the_schema_is_published() {
    let path = project("../docs/flow-log.schema.json");
    publish(&path, &std::fs::read_to_string(&path).unwrap_or_default(), &schema());
}

#[test]
fn the_docs_have_its_tables() {
    let _alone = PAGES.lock().unwrap_or_else(PoisonError::into_inner);
    let path = project("../docs/flow-log.md");
    let kept = std::fs::read_to_string(&path).unwrap();
    let (head, rest) = kept.split_once("<!-- schema -->\n").unwrap();
    let (_, tail) = rest.split_once("<!-- end -->").unwrap();
    let fresh = format!("{head}<!-- schema -->\n{}<!-- end -->{tail}", tables(&parsed()));
    publish(&path, &kept, &fresh);
}

#[track_caller]
fn publish(path: &std::path::Path, kept: &str, fresh: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, fresh).unwrap();
    } else {
        let path = path.display();
        assert!(
            kept == fresh,
            "{path} is stale: UPDATE_DOCS=1 cargo test -p netwatch --lib output"
        );
    }
}

/// A table for each definition: the records, and what they consist of in the order in which it comes.
fn tables(schema: &Value) -> String {
    let mut text = String::new();
    let mut names: Vec<&str> =
        schema["anyOf"].as_array().unwrap().iter().map(|one| definition(one).unwrap()).collect();
    let mut at = 0;
    while let Some(name) = names.get(at).copied() {
        at += 1;
        let of = &schema["$defs"][name];
        let _ = write!(text, "### {name}\n\n{}\n\n", of["description"].as_str().unwrap());
        text.push_str("| field | type | meaning |\n|---|---|---|\n");
        let required = of["required"].as_array().cloned().unwrap_or_default();
        for (field, property) in of["properties"].as_object().unwrap() {
            let optional = if required.contains(&json!(field)) { "" } else { ", optional" };
            let (kind, meaning) = (kind(property), property["description"].as_str().unwrap());
            let meaning = meaning.replace('\n', " ");
            let _ = writeln!(text, "| `{field}` | {kind}{optional} | {meaning} |");
            let inner = definition(property).or_else(|| definition(&property["items"]));
            names.extend(inner.filter(|inner| !names.contains(inner)));
        }
        text.push('\n');
    }
    text
}

/// The type in words; where there are only some values, these.
fn kind(property: &Value) -> String {
    if let Some(name) = definition(property) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    if let Some(only) = property["const"].as_str() {
        return format!("`{only}`");
    }
    if let Some(words) = property["enum"].as_array() {
        let words: Vec<_> =
            words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect();
        return words.join(", ");
    }
    match &property["type"] {
        Value::String(kind) if kind == "array" => {
            format!("array of {}", self::kind(&property["items"]))
        }
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => {
            kinds.iter().map(|kind| kind.as_str().unwrap()).collect::<Vec<_>>().join(" or ")
        }
        _ => panic!("no type: {property}"),
    }
}
