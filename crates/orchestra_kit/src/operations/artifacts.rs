//! `artifact-store.…`

use ipc::Value;
use pit::artifact_store::{ArtifactId, ArtifactStore, PutOptions};

use super::inputs::{Inputs, list, number};
use super::members::{Members, Row, Table, refused};
use crate::KitError;
use crate::manifest::Member;

const MEMBER: Member = Member::ArtifactStore;

pub(super) const TABLE: Table =
    Table { member: MEMBER, rows: ROWS, is_started: |members| members.artifacts.is_some() };

const ROWS: &[Row] = &[
    Row { name: "put", inputs: &["data", "name?", "tags?", "parents?"], waits: false, run: put },
    Row { name: "get", inputs: &["id"], waits: false, run: get },
    Row { name: "exists", inputs: &["id"], waits: false, run: exists },
    Row { name: "metadata", inputs: &["id"], waits: false, run: metadata },
    Row { name: "find", inputs: &["name?", "tag?"], waits: false, run: find },
    Row { name: "versions", inputs: &["name"], waits: false, run: versions },
    Row { name: "delete", inputs: &["id"], waits: false, run: delete },
    Row { name: "verify", inputs: &[], waits: true, run: verify },
    Row { name: "stats", inputs: &[], waits: false, run: stats },
];

fn store(members: &Members) -> Result<&ArtifactStore, KitError> {
    members.artifacts.as_deref().ok_or(KitError::Stopped { what: "the artifact store" })
}

fn id(inputs: &Inputs<'_>) -> Result<ArtifactId, KitError> {
    inputs.parsed("id", "an artifact's id")
}

fn put(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let parents = inputs.texts("parents")?;
    let parents: Result<Vec<ArtifactId>, _> = parents.iter().map(|id| id.parse()).collect();
    let options = PutOptions {
        name: inputs.text_or_none("name")?.map(str::to_owned),
        tags: inputs.texts("tags")?,
        parents: parents.map_err(|error| refused(MEMBER, "put", error))?,
    };
    let id = store(members)?.put(inputs.bytes("data")?, &options);
    Ok(Value::Text(id.map_err(|error| refused(MEMBER, "put", error))?.to_string()))
}

fn size(members: &Members, id: &ArtifactId) -> Result<u64, KitError> {
    let about = store(members)?.metadata(id).map_err(|error| refused(MEMBER, "get", error))?;
    Ok(about.size)
}

/// How much `get` would read; zero where it would read nothing.
pub(super) fn size_of(members: &Members, inputs: &Value) -> u64 {
    let id = inputs.get("id").and_then(|id| id.as_text()?.parse().ok());
    id.and_then(|id| size(members, &id).ok()).unwrap_or(0)
}

fn get(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let id = id(inputs)?;
    if inputs.holdings.is_some() {
        inputs.make_room(size(members, &id)?)?;
    }
    let data = store(members)?.get(&id).map_err(|error| refused(MEMBER, "get", error))?;
    Ok(Value::from(data))
}

fn exists(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let exists = store(members)?.exists(&id(inputs)?);
    Ok(Value::Bool(exists.map_err(|error| refused(MEMBER, "look", error))?))
}

fn metadata(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let about = store(members)?
        .metadata(&id(inputs)?)
        .map_err(|error| refused(MEMBER, "tell the metadata", error))?;
    let names = about.names.into_iter().map(|(name, version)| {
        Value::from([("name", Value::Text(name)), ("version", number(version))])
    });
    Ok(Value::from([
        ("id", Value::Text(about.id.to_string())),
        ("size", number(about.size)),
        ("created", Value::Float(about.created)),
        ("names", Value::List(names.collect())),
        ("tags", list(about.tags)),
        ("parents", list(about.parents)),
        ("reads", number(about.reads)),
        ("last_read", about.last_read.into()),
        ("archived", Value::Bool(about.archived)),
    ]))
}

fn find(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let found = store(members)?.find(inputs.text_or_none("name")?, inputs.text_or_none("tag")?);
    Ok(list(found.map_err(|error| refused(MEMBER, "find", error))?))
}

fn versions(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let versions = store(members)?.versions(inputs.text("name")?);
    Ok(list(versions.map_err(|error| refused(MEMBER, "list the versions", error))?))
}

fn delete(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    store(members)?.delete(&id(inputs)?).map_err(|error| refused(MEMBER, "delete", error))?;
    Ok(Value::None)
}

fn verify(members: &Members, _: &Inputs<'_>) -> Result<Value, KitError> {
    let report = store(members)?.verify().map_err(|error| refused(MEMBER, "verify", error))?;
    Ok(Value::from([("checked", number(report.checked)), ("bad", list(report.bad))]))
}

fn stats(members: &Members, _: &Inputs<'_>) -> Result<Value, KitError> {
    let stats = store(members)?.stats();
    Ok(Value::from([
        ("artifacts", number(stats.artifacts)),
        ("bytes", number(stats.bytes)),
        ("puts", number(stats.puts)),
        ("deduplicated", number(stats.deduplicated)),
        ("gets", number(stats.gets)),
    ]))
}
