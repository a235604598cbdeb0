//! The schema that editors use and the parser name the same keys, and the same words.

use serde_json::Value;

use super::{
    ExtensionManifest, Limits, Manifest, Member, Permissions, Restart, ServerSettings,
    SystemManifest,
};

fn keys(schema: &Value, path: &[&str]) -> Vec<String> {
    let mut table = schema;
    for key in path {
        table = &table["properties"][key];
    }
    assert_eq!(table["additionalProperties"], Value::Bool(false), "{path:?} is open");
    let mut keys: Vec<String> = table["properties"].as_object().unwrap().keys().cloned().collect();
    keys.sort();
    keys
}

fn sorted(words: &[&str]) -> Vec<String> {
    let mut words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    words.sort();
    words
}

#[test]
fn schema_and_parser_name_the_same_keys() {
    let schema: Value = serde_json::from_str(super::SCHEMA).unwrap();
    let phases = component::Phase::ALL.map(component::Phase::as_str);
    let mut tables: Vec<(Vec<&str>, &[&str])> = vec![
        (vec![], Manifest::KEYS),
        (vec!["system"], SystemManifest::KEYS),
        (vec!["system", "budgets"], SystemManifest::BUDGET_KEYS),
        (vec!["system", "store"], SystemManifest::STORE_KEYS),
        (vec!["system", "phases"], &phases),
        (vec!["extension"], ExtensionManifest::KEYS),
        (vec!["extension", "permissions"], Permissions::KEYS),
        (vec!["extension", "limits"], Limits::KEYS),
        (vec!["extension", "restart"], Restart::KEYS),
        (vec!["extension", "server"], ServerSettings::KEYS),
    ];
    for phase in phases {
        tables.push((vec!["system", "phases", phase], SystemManifest::PHASE_KEYS));
    }
    for (path, known) in tables {
        assert_eq!(keys(&schema, &path), sorted(known), "{path:?}");
    }
}

#[test]
fn every_key_of_the_schema_is_described() {
    fn walk(table: &Value, path: &str) {
        for (key, value) in table["properties"].as_object().into_iter().flatten() {
            assert!(value["description"].is_string(), "{path}.{key} has no description");
            walk(value, &format!("{path}.{key}"));
        }
    }
    walk(&serde_json::from_str(super::SCHEMA).unwrap(), "");
}

#[test]
fn schema_and_parser_know_the_same_members() {
    let schema: Value = serde_json::from_str(super::SCHEMA).unwrap();
    let words = &schema["properties"]["system"]["properties"]["members"]["items"]["enum"];
    let words: Vec<&str> =
        words.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(sorted(&words), sorted(&Member::ALL.map(Member::as_str)));
}
