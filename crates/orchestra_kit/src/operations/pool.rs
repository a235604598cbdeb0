//! `pool-manager.…`: what makes sense without the worker itself, which is an object of this process.

use ipc::Value;
use pit::pool_manager::PoolManager;

use super::inputs::{Inputs, list, number};
use super::members::{Members, Row, Table, refused};
use crate::KitError;
use crate::manifest::Member;

const MEMBER: Member = Member::PoolManager;

pub(super) const TABLE: Table =
    Table { member: MEMBER, rows: ROWS, is_started: |members| members.pool.is_some() };

const ROWS: &[Row] = &[
    Row { name: "prewarm", inputs: &["name"], waits: true, run: prewarm },
    Row { name: "stats", inputs: &["name"], waits: false, run: stats },
    Row { name: "pools", inputs: &[], waits: false, run: pools },
];

fn manager(members: &Members) -> Result<&PoolManager, KitError> {
    members.pool.as_deref().ok_or(KitError::Stopped { what: "the pool manager" })
}

fn prewarm(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let warmed = manager(members)?.prewarm(inputs.text("name")?);
    Ok(Value::Bool(warmed.map_err(|error| refused(MEMBER, "prewarm", error))?))
}

fn stats(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let stats = manager(members)?
        .stats(inputs.text("name")?)
        .map_err(|error| refused(MEMBER, "tell the stats", error))?;
    let count = |count: usize| number(count as u64);
    Ok(Value::from([
        ("size", count(stats.size)),
        ("idle", count(stats.idle)),
        ("leased", count(stats.leased)),
        ("starting", count(stats.starting)),
        ("waiting", count(stats.waiting)),
        ("hits", number(stats.hits)),
        ("misses", number(stats.misses)),
        ("created", number(stats.created)),
        ("failures", number(stats.failures)),
        ("evicted", number(stats.evicted)),
        ("broken", number(stats.broken)),
        ("unhealthy", number(stats.unhealthy)),
        ("overdue", number(stats.overdue)),
        ("timeouts", number(stats.timeouts)),
        ("memory", number(stats.memory)),
        ("demand", Value::Float(stats.demand)),
    ]))
}

fn pools(members: &Members, _: &Inputs<'_>) -> Result<Value, KitError> {
    Ok(list(manager(members)?.pools()))
}
