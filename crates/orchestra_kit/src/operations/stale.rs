//! `stale-manager.…`

use ipc::Value;
use pit::artifact_store::ArtifactId;
use pit::stale_manager::{Action, NamePattern, Rule, StaleManager};

use super::inputs::{Inputs, list, number};
use super::members::{Members, Row, Table, refused};
use crate::KitError;
use crate::manifest::Member;

const MEMBER: Member = Member::StaleManager;

pub(super) const TABLE: Table =
    Table { member: MEMBER, rows: ROWS, is_started: |members| members.stale.is_some() };

const ROWS: &[Row] = &[
    Row {
        name: "rule",
        inputs: &[
            "name",
            "action",
            "older_than?",
            "unused_for?",
            "reads_below?",
            "larger_than?",
            "tag?",
            "named?",
            "quality_below?",
            "score_below?",
        ],
        waits: false,
        run: rule,
    },
    Row { name: "evaluate", inputs: &["id"], waits: false, run: evaluate },
    Row { name: "explain", inputs: &["id"], waits: false, run: explain },
    Row { name: "pin", inputs: &["id"], waits: false, run: pin },
    Row { name: "unpin", inputs: &["id"], waits: false, run: unpin },
    Row { name: "sweep", inputs: &["dry_run?"], waits: true, run: sweep },
];

fn manager(members: &Members) -> Result<&StaleManager, KitError> {
    members.stale.as_deref().ok_or(KitError::Stopped { what: "the stale manager" })
}

fn id(inputs: &Inputs<'_>) -> Result<ArtifactId, KitError> {
    inputs.parsed("id", "an artifact's id")
}

fn rule(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let action = match inputs.text("action")? {
        "keep" => Action::Keep,
        "archive" => Action::Archive,
        "delete" => Action::Delete,
        other => {
            let what =
                format!("`{other}` is not an action; the actions are keep, archive and delete");
            return Err(KitError::InvalidValue { what });
        }
    };
    let rule = Rule {
        older_than: inputs.seconds("older_than")?,
        unused_for: inputs.seconds("unused_for")?,
        reads_below: inputs.count_or_none("reads_below")?,
        larger_than: inputs.count_or_none("larger_than")?,
        tag: inputs.text_or_none("tag")?.map(str::to_owned),
        named: inputs.text_or_none("named")?.map(NamePattern::from),
        quality_below: inputs.number_or_none("quality_below")?,
        score_below: inputs.number_or_none("score_below")?,
        ..Rule::new(inputs.text("name")?, action)
    };
    manager(members)?.rule(rule).map_err(|error| refused(MEMBER, "take the rule", error))?;
    Ok(Value::None)
}

fn evaluate(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let verdict = manager(members)?.evaluate(&id(inputs)?);
    Ok(Value::from(verdict.map_err(|error| refused(MEMBER, "evaluate", error))?.as_str()))
}

fn explain(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let explanation = manager(members)?.explain(&id(inputs)?);
    let explanation = explanation.map_err(|error| refused(MEMBER, "explain", error))?;
    Ok(Value::Text(explanation.to_string()))
}

fn pin(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let pinned = manager(members)?.pin(&id(inputs)?);
    Ok(Value::Bool(pinned.map_err(|error| refused(MEMBER, "pin", error))?))
}

fn unpin(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let unpinned = manager(members)?.unpin(&id(inputs)?);
    Ok(Value::Bool(unpinned.map_err(|error| refused(MEMBER, "unpin", error))?))
}

fn sweep(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let report = manager(members)?.sweep(inputs.flag("dry_run")?);
    let report = report.map_err(|error| refused(MEMBER, "sweep", error))?;
    Ok(Value::from([
        ("dry_run", Value::Bool(report.dry_run)),
        ("examined", number(report.examined)),
        ("kept", number(report.kept)),
        ("pinned", number(report.pinned)),
        ("in_use", number(report.in_use)),
        ("archived", list(report.archived)),
        ("deleted", list(report.deleted)),
        ("deleted_bytes", number(report.deleted_bytes)),
    ]))
}
