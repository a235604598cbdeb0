//! `dag-tracker.…`

use ipc::Value;
use pit::dag_tracker::{DagTracker, RunId};

use super::inputs::{Inputs, list, number};
use super::members::{Members, Row, Table, refused};
use crate::KitError;
use crate::manifest::Member;

const MEMBER: Member = Member::DagTracker;

pub(super) const TABLE: Table =
    Table { member: MEMBER, rows: ROWS, is_started: |members| members.dag.is_some() };

const ROWS: &[Row] = &[
    Row { name: "submit", inputs: &["graph", "priority?"], waits: false, run: submit },
    Row { name: "ready", inputs: &["run", "limit?"], waits: false, run: ready },
    Row { name: "start", inputs: &["run", "node?"], waits: false, run: start },
    Row { name: "complete", inputs: &["run", "node", "artifact?"], waits: false, run: complete },
    Row { name: "fail", inputs: &["run", "node", "reason"], waits: false, run: fail },
    Row { name: "skip", inputs: &["run", "node", "reason?"], waits: false, run: skip },
    Row { name: "retry", inputs: &["run", "node"], waits: false, run: retry },
    Row { name: "cancel", inputs: &["run"], waits: false, run: cancel },
    Row { name: "status", inputs: &["run"], waits: false, run: status },
    Row { name: "runs", inputs: &[], waits: false, run: runs },
];

fn tracker(members: &Members) -> Result<&DagTracker, KitError> {
    members.dag.as_deref().ok_or(KitError::Stopped { what: "the DAG tracker" })
}

fn run_id(inputs: &Inputs<'_>) -> Result<RunId, KitError> {
    inputs.count("run", 0).map(RunId)
}

fn submit(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let run = tracker(members)?.submit(&inputs.graph("graph")?, inputs.int("priority", 0)?);
    Ok(number(run.map_err(|error| refused(MEMBER, "submit", error))?.0))
}

fn ready(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let limit = usize::try_from(inputs.count("limit", 0)?).unwrap_or(usize::MAX);
    let nodes = tracker(members)?.ready(run_id(inputs)?, limit);
    Ok(list(nodes.map_err(|error| refused(MEMBER, "list the ready nodes", error))?))
}

fn start(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let node = tracker(members)?.start_next(run_id(inputs)?, inputs.text_or_none("node")?);
    let node = node.map_err(|error| refused(MEMBER, "start", error))?;
    Ok(node.as_deref().into())
}

fn complete(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let (node, artifact) = (inputs.text("node")?, inputs.text_or_none("artifact")?);
    let nodes = tracker(members)?.complete(run_id(inputs)?, node, artifact);
    Ok(list(nodes.map_err(|error| refused(MEMBER, "complete", error))?))
}

fn fail(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let (node, reason) = (inputs.text("node")?, inputs.text("reason")?);
    let nodes = tracker(members)?.fail(run_id(inputs)?, node, reason);
    Ok(list(nodes.map_err(|error| refused(MEMBER, "fail a node", error))?))
}

fn skip(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let (node, reason) = (inputs.text("node")?, inputs.text_or_none("reason")?);
    let nodes = tracker(members)?.skip(run_id(inputs)?, node, reason);
    Ok(list(nodes.map_err(|error| refused(MEMBER, "skip", error))?))
}

fn retry(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let retried = tracker(members)?.retry(run_id(inputs)?, inputs.text("node")?);
    retried.map_err(|error| refused(MEMBER, "retry", error))?;
    Ok(Value::None)
}

fn cancel(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let cancelled = tracker(members)?.cancel(run_id(inputs)?);
    cancelled.map_err(|error| refused(MEMBER, "cancel", error))?;
    Ok(Value::None)
}

fn status(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let status = tracker(members)?
        .status(run_id(inputs)?)
        .map_err(|error| refused(MEMBER, "tell the status", error))?;
    let nodes = status.nodes.into_iter().map(|node| {
        let about = Value::from([
            ("state", Value::Text(node.state.as_str().to_owned())),
            ("artifact", node.artifact.as_deref().into()),
            ("reason", node.reason.as_deref().into()),
        ]);
        (node.name.to_string(), about)
    });
    Ok(Value::from([
        ("run", number(status.run.0)),
        ("state", Value::Text(status.state.as_str().to_owned())),
        ("priority", Value::Int(status.priority)),
        ("nodes", Value::Map(nodes.collect())),
    ]))
}

fn runs(members: &Members, _: &Inputs<'_>) -> Result<Value, KitError> {
    let runs = tracker(members)?.runs().into_iter().map(|(run, state)| {
        Value::from([("run", number(run.0)), ("state", Value::from(state.as_str()))])
    });
    Ok(Value::List(runs.collect()))
}
