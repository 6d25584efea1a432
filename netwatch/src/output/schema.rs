//! The schema of the JSON records, made from their types: what is written in docs/flow-log.schema.json and what
//! `netwatch flows --schema` prints.
//!
//! Promises: it describes the lines of this version and no others. A field that it does not know is an error, so that it
//! cannot be forgotten; and what may be left out is never `null`.

use schemars::{
    JsonSchema, Schema,
    generate::SchemaSettings,
    transform::{RecursiveTransform, Transform as _},
};
use serde_json::{Value, json};

use super::{
    gap::GapView,
    life::LifeView,
    lookup::LookupView,
    sample::SampleView,
    view::{FlowView, LossView},
};

/// A line of the flow log of netwatch.
#[derive(JsonSchema)]
#[schemars(untagged, rename = "netwatch flow log")]
#[expect(dead_code, clippy::large_enum_variant, reason = "only its schema is of use")]
enum Line {
    Flow(FlowView<'static>),
    Lost(LossView),
    Dns(LookupView<'static>),
    Sample(SampleView<'static>),
    Event(LifeView<'static>),
    Gap(GapView),
}

/// The schema, in the draft of 2020-12.
pub fn schema() -> String {
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<Line>();
    RecursiveTransform(exact).transform(&mut schema);
    format!("{:#}\n", schema.as_value())
}

/// No other fields; no `null` for what is left out.
fn exact(schema: &mut Schema) {
    let required = schema.get("required").cloned();
    let is_required = |name: &str| {
        required.as_ref().and_then(Value::as_array).is_some_and(|all| all.contains(&name.into()))
    };
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (_, property) in properties.iter_mut().filter(|(name, _)| !is_required(name)) {
        never_null(property);
    }
    schema.insert("additionalProperties".to_owned(), false.into());
}

/// `[T, null]` is `T`, and so is one of `T` and `null`.
fn never_null(property: &mut Value) {
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            property["type"] = one.clone();
        }
    }
    if let Some(Value::Array(choices)) = property.get_mut("anyOf") {
        choices.retain(|one| *one != json!({ "type": "null" }));
        if let [Value::Object(one)] = choices.as_slice() {
            let one = one.clone();
            if let Value::Object(fields) = property {
                fields.remove("anyOf");
                fields.extend(one);
            }
        }
    }
}
