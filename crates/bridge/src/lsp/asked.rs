//! What a server asks of an editor.

use ipc::Value;

use super::greeting::folders;
use super::results::list;
use crate::places::uri_of;
use crate::settings::Settings;
use crate::wire::{ServerFailure, json};

/// The answer to a server's request.
pub(super) fn answer(
    settings: &Settings,
    method: &str,
    mut params: Value,
) -> Result<Value, ServerFailure> {
    match method {
        "workspace/configuration" => {
            let items = list(json::take(&mut params, "items").unwrap_or_default());
            let found = items.iter().map(|item| {
                let section = item.get("section").and_then(Value::as_text).unwrap_or_default();
                section_of(&settings.settings, section)
            });
            Ok(Value::List(found.collect()))
        }
        "workspace/workspaceFolders" => {
            let name = settings.workspace.rsplit('/').next().unwrap_or_default();
            Ok(folders(&uri_of(&settings.workspace), name))
        }
        "workspace/applyEdit" => Ok(json::map([
            ("applied", Value::Bool(false)),
            ("failureReason", "a server may not change files here: nothing grants it".into()),
        ])),
        "window/showDocument" => Ok(json::map([("success", Value::Bool(false))])),
        "client/registerCapability"
        | "client/unregisterCapability"
        | "window/workDoneProgress/create"
        | "window/showMessageRequest" => Ok(Value::None),
        refresh if refresh.starts_with("workspace/") && refresh.ends_with("/refresh") => {
            Ok(Value::None)
        }
        other => Err(ServerFailure::unknown_method(other)),
    }
}

/// A part of the settings: by its whole name, else level by level.
fn section_of(settings: &Value, section: &str) -> Value {
    if section.is_empty() {
        return settings.clone();
    }
    if let Some(found) = settings.get(section) {
        return found.clone();
    }
    let mut place = settings;
    for part in section.split('.') {
        match place.get(part) {
            Some(inside) => place = inside,
            None => return Value::None,
        }
    }
    place.clone()
}

#[cfg(test)]
mod tests {
    use super::answer;
    use crate::settings::Settings;
    use crate::wire::json;

    #[test]
    fn a_server_gets_its_part_of_the_settings() {
        let settings = Settings {
            settings: json::parse(br#"{"a":{"b":{"c":1}},"x.y":2}"#).unwrap(),
            workspace: "/w".to_owned(),
            ..Settings::default()
        };
        let asked =
            json::parse(br#"{"items":[{"section":"a.b"},{"section":"x.y"},{"section":"a.z"},{}]}"#);
        let found = answer(&settings, "workspace/configuration", asked.unwrap()).unwrap();
        assert_eq!(json::text(&found), r#"[{"c":1},2,null,{"a":{"b":{"c":1}},"x.y":2}]"#);
        assert!(answer(&settings, "workspace/unheard", ipc::Value::None).is_err());
        let edit = answer(&settings, "workspace/applyEdit", ipc::Value::None).unwrap();
        assert_eq!(edit.get("applied"), Some(&ipc::Value::Bool(false)));
    }
}
