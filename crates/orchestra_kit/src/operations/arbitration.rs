//! `arbitration-engine.…`: a grant is held for its caller by number, because a guest cannot hold the object.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::Value;
use pit::arbitration_engine::{ArbitrationEngine, Grant, Request, Strategy};

use super::inputs::{Inputs, number};
use super::members::{Members, Row, Table, encoded, patience, refused};
use super::{Answer, Holdings, WaitingCall};
use crate::KitError;
use crate::manifest::Member;

const MEMBER: Member = Member::ArbitrationEngine;

pub(super) const TABLE: Table =
    Table { member: MEMBER, rows: ROWS, is_started: |members| members.arbitration.is_some() };

const ROWS: &[Row] = &[
    Row {
        name: "define",
        inputs: &["resource", "capacity", "strategy?"],
        waits: false,
        run: define,
    },
    Row {
        name: "request",
        inputs: &["resource", "owner", "amount?", "priority?", "timeout?", "lease?"],
        waits: true,
        run: request,
    },
    Row { name: "release", inputs: &["grant"], waits: false, run: release },
    Row { name: "audit", inputs: &[], waits: false, run: audit },
];

/// The arbiter, and the grants that whoever is inside this process holds through operations.
pub struct Arbitration {
    engine: Arc<ArbitrationEngine>,
    holdings: Arc<Holdings>,
}

impl Arbitration {
    pub(super) fn new(engine: Arc<ArbitrationEngine>) -> Self {
        Self { engine, holdings: Arc::default() }
    }
}

fn arbitration(members: &Members) -> Result<&Arbitration, KitError> {
    members.arbitration.as_deref().ok_or(KitError::Stopped { what: "the arbitration engine" })
}

fn define(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let wrong = |error| refused(MEMBER, "define", error);
    let strategy = inputs.text_or_none("strategy")?.unwrap_or("priority");
    let strategy = Strategy::parse(strategy).map_err(wrong)?;
    let (resource, capacity) = (inputs.text("resource")?, inputs.count("capacity", 0)?);
    arbitration(members)?.engine.define(resource, capacity, strategy).map_err(wrong)?;
    Ok(Value::None)
}

fn wanted<'a>(inputs: &Inputs<'a>) -> Result<Request<'a>, KitError> {
    if inputs.holdings.is_some_and(|holdings| holdings.is_full()) {
        return Err(KitError::Overloaded { what: MEMBER.as_str() });
    }
    let timeout = inputs.seconds("timeout")?.unwrap_or(Duration::ZERO);
    Ok(Request {
        resource: inputs.text("resource")?,
        owner: inputs.text("owner")?,
        amount: inputs.count("amount", 1)?,
        priority: inputs.int("priority", 0)?,
        timeout: patience(inputs.deadline, Some(timeout)),
        lease: inputs.seconds("lease")?.filter(|span| *span < component::LONGEST),
        // A guest releases by whatever worker serves it then.
        thread: None,
    })
}

fn told(grant: Grant, holdings: &Holdings) -> Value {
    let mut answer = vec![
        ("outcome".to_owned(), Value::Text(grant.outcome().as_str().to_owned())),
        ("reason".to_owned(), Value::Text(grant.reason().to_string())),
    ];
    // One that has ended hears nothing more of it.
    if grant.is_granted()
        && let Some(id) = holdings.keep(grant)
    {
        answer.push(("grant".to_owned(), number(id)));
    }
    Value::Map(answer)
}

fn request(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let arbitration = arbitration(members)?;
    let holdings = inputs.holdings.unwrap_or(&arbitration.holdings);
    let interrupted = || holdings.has_ended();
    let grant = arbitration.engine.request_polling(wanted(inputs)?, Some(&interrupted));
    Ok(told(grant.map_err(|error| refused(MEMBER, "decide", error))?, holdings))
}

/// The same, which waits on no thread.
pub(super) fn request_later(
    members: &Members,
    inputs: &Inputs<'_>,
    answer: Answer,
) -> Result<Option<WaitingCall>, KitError> {
    let arbitration = arbitration(members)?;
    let request = wanted(inputs)?;
    let until = request.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let holdings = Arc::clone(inputs.holdings.unwrap_or(&arbitration.holdings));
    let answered = Box::new(move |grant: pit::PitResult<Grant>| {
        let outcome = grant.map_err(|error| refused(MEMBER, "decide", error));
        answer(outcome.and_then(|grant| encoded(MEMBER, "request", &told(grant, &holdings))));
    });
    let place = arbitration.engine.request_later(request, answered);
    let place = place.map_err(|error| refused(MEMBER, "decide", error))?;
    Ok(place.map(|place| WaitingCall { place, until }))
}

/// Releasing twice is as good as once; what another caller holds stays.
fn release(members: &Members, inputs: &Inputs<'_>) -> Result<Value, KitError> {
    let id = inputs.count("grant", 0)?;
    let holdings = inputs.holdings.unwrap_or(&arbitration(members)?.holdings);
    Ok(Value::Bool(holdings.release(id)))
}

fn audit(members: &Members, _: &Inputs<'_>) -> Result<Value, KitError> {
    let entries = arbitration(members)?.engine.audit().into_iter().map(|entry| {
        Value::from([
            ("at", Value::Float(entry.at.as_secs_f64())),
            ("resource", Value::Text(entry.resource.to_string())),
            ("owner", Value::Text(entry.owner.to_string())),
            ("amount", number(entry.amount)),
            ("priority", Value::Int(entry.priority)),
            ("decision", Value::Text(entry.decision.as_str().to_owned())),
            ("reason", Value::Text(entry.reason.to_string())),
        ])
    });
    Ok(Value::List(entries.collect()))
}
