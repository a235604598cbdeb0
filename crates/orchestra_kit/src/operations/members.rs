//! The members that are started, what stands in for one that was swapped, and the table of their operations.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use component::did_you_mean;
use ipc::{Payload, Value};
use parking_lot::Mutex;
use pit::arbitration_engine::ArbitrationEngine;
use pit::artifact_store::ArtifactStore;
use pit::dag_tracker::DagTracker;
use pit::pool_manager::PoolManager;
use pit::stale_manager::StaleManager;

use super::inputs::Inputs;
use super::{Answer, Arbitration, Holdings, WaitingCall, arbitration, artifacts, dag, pool, stale};
use crate::KitError;
use crate::catalogue::{Known, MemberOperations, Operation};
use crate::manifest::Member;

/// How one operation runs.
pub(super) type Operate = fn(&Members, &Inputs<'_>) -> Result<Value, KitError>;

/// How one operation that waits for others begins.
type Later = fn(&Members, &Inputs<'_>, Answer) -> Result<Option<WaitingCall>, KitError>;

/// One operation of a member.
pub(super) struct Row {
    pub(super) name: &'static str,
    /// Its inputs; one that ends with `?` may be left out.
    pub(super) inputs: &'static [&'static str],
    /// Whether it may wait for others (a lease, a grant), so that it has no place on a thread that must not.
    pub(super) waits: bool,
    pub(super) run: Operate,
}

/// All that the door asks of one member: a member more is a file with its table, and a row in [`TABLES`].
pub(super) struct Table {
    pub(super) member: Member,
    pub(super) rows: &'static [Row],
    /// Whether the member itself is there to answer.
    pub(super) is_started: fn(&Members) -> bool,
}

static TABLES: [Table; Member::ALL.len()] =
    [artifacts::TABLE, dag::TABLE, pool::TABLE, arbitration::TABLE, stale::TABLE];

/// What took a member's place and answers its operations instead of it.
pub trait StandIn: Send + Sync {
    /// Calls one of the member's operations and waits for its result; it may run foreign code, so it is only called on
    /// a thread that may wait. `required` are the names of the inputs that cannot be left out, in their order.
    ///
    /// # Errors
    /// [`KitError`]: it has no such operation, or what it said.
    fn call(
        &self,
        operation: &'static str,
        required: &[&'static str],
        inputs: &Payload,
        deadline: Option<Instant>,
    ) -> Result<Payload, KitError>;
}

/// The members that are started, as far as they are.
#[derive(Clone, Default)]
pub struct Members {
    /// The artifact store.
    pub artifacts: Option<Arc<ArtifactStore>>,
    /// The tracker of runs.
    pub dag: Option<Arc<DagTracker>>,
    /// The pools.
    pub pool: Option<Arc<PoolManager>>,
    /// The arbiter, with the grants that are held by number.
    pub arbitration: Option<Arc<Arbitration>>,
    /// What decides what is kept.
    pub stale: Option<Arc<StaleManager>>,
    /// What was swapped in, by the member whose operations it answers.
    pub stand_ins: HashMap<Member, Arc<dyn StandIn>>,
}

/// More bytes than this take a while.
const MUCH: usize = 256 * 1024;

fn table(member: Member) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.member == member)
}

fn rows(member: Member) -> &'static [Row] {
    table(member).map_or(&[], |table| table.rows)
}

impl Members {
    /// The arbiter behind operations.
    #[must_use]
    pub fn with_arbitration(mut self, engine: Arc<ArbitrationEngine>) -> Self {
        self.arbitration = Some(Arc::new(Arbitration::new(engine)));
        self
    }

    /// Whether somebody answers for that member.
    pub fn has(&self, member: Member) -> bool {
        self.stand_ins.contains_key(&member)
            || table(member).is_some_and(|table| (table.is_started)(self))
    }

    /// Whether the operation may wait, or has so much to write that it takes a while.
    pub fn may_wait(&self, member: Member, operation: &str, inputs: &Payload) -> bool {
        inputs.size() > MUCH
            || self.stand_ins.contains_key(&member)
            || row(member, operation).is_some_and(|row| row.waits)
    }

    /// Whether the operation has so much to read that it takes a while; looked up in the store's index.
    pub fn reads_much(&self, member: Member, operation: &str, inputs: &Payload) -> bool {
        (member, operation) == (Member::ArtifactStore, "get")
            && inputs.size() <= MUCH
            && inputs.value().is_ok_and(|value| artifacts::size_of(self, &value) > MUCH as u64)
    }

    /// Calls an operation on this thread, for somebody inside this process.
    ///
    /// # Errors
    /// [`KitError`]: an unknown operation or input, a wrong value, or what the member said.
    pub fn call(
        &self,
        member: Member,
        operation: &str,
        inputs: &Payload,
        deadline: Option<Instant>,
    ) -> Result<Payload, KitError> {
        self.call_as(None, member, operation, inputs, deadline)
    }

    fn call_as(
        &self,
        holdings: Option<&Arc<Holdings>>,
        member: Member,
        operation: &str,
        inputs: &Payload,
        deadline: Option<Instant>,
    ) -> Result<Payload, KitError> {
        let (row, value) = self.row_for(member, operation, inputs)?;
        let checked = Inputs::new(member, row.name, row.inputs, &value, deadline, holdings)?;
        if let Some(stand_in) = self.stand_ins.get(&member) {
            let required: Vec<_> =
                row.inputs.iter().copied().filter(|input| !input.ends_with('?')).collect();
            return stand_in.call(row.name, &required, inputs, deadline);
        }
        encoded(member, operation, &(row.run)(self, &checked)?)
    }

    fn row_for(
        &self,
        member: Member,
        operation: &str,
        inputs: &Payload,
    ) -> Result<(&'static Row, Value), KitError> {
        let call = || format!("{}.{operation}", member.as_str());
        let Some(row) = row(member, operation).filter(|_| self.has(member)) else {
            return Err(KitError::UnknownOperation { call: call() });
        };
        let value = inputs.value().map_err(|error| KitError::InvalidValue {
            what: format!("the inputs of `{}` cannot be read: {error}", call()),
        })?;
        Ok((row, value))
    }

    /// Whether that operation can be begun with [`Self::begin`].
    pub fn waits_for_others(&self, member: Member, operation: &str) -> bool {
        !self.stand_ins.contains_key(&member) && later(member, operation).is_some()
    }

    /// Begins an operation that [waits for others](Self::waits_for_others), and holds no thread for it. `answer` is told
    /// its outcome, here or later. None: it has been told.
    pub fn begin(
        &self,
        holdings: Option<&Arc<Holdings>>,
        member: Member,
        operation: &str,
        inputs: &Payload,
        deadline: Option<Instant>,
        answer: Answer,
    ) -> Option<WaitingCall> {
        // It is read on a thread that serves others too.
        const MUCH: usize = 64 * 1024;
        if inputs.size() > MUCH {
            let call = format!("{}.{operation}", member.as_str());
            let what = format!(
                "the inputs of `{call}` are {} bytes, at most {MUCH} may be",
                inputs.size()
            );
            answer(Err(KitError::InvalidValue { what }));
            return None;
        }
        // Whoever does not get to answer leaves it to the other: what refuses drops what it was given.
        let answer = Arc::new(Mutex::new(Some(answer)));
        let answering = Arc::clone(&answer);
        let tell = move |outcome| {
            if let Some(answer) = answering.lock().take() {
                answer(outcome);
            }
        };
        let begun = self.row_for(member, operation, inputs).and_then(|(row, value)| {
            let checked = Inputs::new(member, row.name, row.inputs, &value, deadline, holdings)?;
            let unknown =
                || KitError::UnknownOperation { call: format!("{}.{operation}", member.as_str()) };
            later(member, operation).ok_or_else(unknown)?(self, &checked, Box::new(tell))
        });
        begun.unwrap_or_else(|error| {
            let answer = answer.lock().take();
            if let Some(answer) = answer {
                answer(Err(error));
            }
            None
        })
    }

    /// Calls `member.operation` by its full name.
    ///
    /// # Errors
    /// As [`Members::call`]; [`KitError::UnknownOperation`] where there is no such member.
    pub fn call_named(
        &self,
        call: &str,
        inputs: &Payload,
        deadline: Option<Instant>,
    ) -> Result<Payload, KitError> {
        let parts = call.split_once('.');
        match parts.and_then(|(member, operation)| Some((Member::parse(member)?, operation))) {
            Some((member, operation)) => self.call(member, operation, inputs, deadline),
            None => Err(KitError::UnknownOperation { call: call.to_owned() }),
        }
    }

    /// The same as [`Self::call`] for a caller of whom is known what it holds, and when it ends.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn call_for(
        &self,
        holdings: &Arc<Holdings>,
        member: Member,
        operation: &str,
        inputs: &Payload,
        deadline: Option<Instant>,
    ) -> Result<Payload, KitError> {
        self.call_as(Some(holdings), member, operation, inputs, deadline)
    }
}

fn row(member: Member, operation: &str) -> Option<&'static Row> {
    rows(member).iter().find(|row| row.name == operation)
}

/// How an operation waits without a thread, where it is one that does.
fn later(member: Member, operation: &str) -> Option<Later> {
    match (member, operation) {
        (Member::ArbitrationEngine, "request") => Some(arbitration::request_later),
        _ => None,
    }
}

/// An operation's result as it is sent.
pub(super) fn encoded(
    member: Member,
    operation: &str,
    result: &Value,
) -> Result<Payload, KitError> {
    Payload::from_value(result).map_err(|error| KitError::InvalidValue {
        what: format!("the result of `{}.{operation}` cannot be sent: {error}", member.as_str()),
    })
}

/// The operations of these members, to check Melodies against.
pub fn known_operations(members: &[Member]) -> MemberOperations {
    let known = members.iter().map(|member| {
        let operations =
            rows(*member).iter().map(|row| Operation::with_inputs(row.name, row.inputs)).collect();
        (member.as_str().to_owned(), Known::Operations(operations))
    });
    MemberOperations(known.collect())
}

/// A member's refusal.
pub(super) fn refused(member: Member, step: &'static str, error: pit::PitError) -> KitError {
    KitError::Pit(crate::error::PitRefusal {
        member: member.as_str(),
        step,
        source: Box::new(error),
    })
}

/// What is left of a deadline, and of a timeout that was asked for.
pub(super) fn patience(deadline: Option<Instant>, timeout: Option<Duration>) -> Option<Duration> {
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    left.into_iter().chain(timeout).min()
}

pub(super) fn unknown_input(name: &str, known: &[&str]) -> String {
    let names = known.iter().map(|input| input.trim_end_matches('?'));
    did_you_mean(name, names).map_or_else(String::new, |meant| format!(", did you mean `{meant}`?"))
}

impl std::fmt::Debug for Members {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let started = Member::ALL.into_iter().filter(|member| self.has(*member));
        out.debug_set().entries(started.map(Member::as_str)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use component::{Code, Hint};
    use ipc::{MAX_LENGTH, Payload, Value};
    use pit::Durability;
    use pit::arbitration_engine::ArbitrationEngine;
    use pit::artifact_store::{ArtifactStore, PutOptions};
    use pit::dag_tracker::DagTracker;

    use super::{Holdings, Members, known_operations};
    use crate::KitError;
    use crate::catalogue::Operations;
    use crate::manifest::Member;

    fn members(folder: &std::path::Path) -> Members {
        Members {
            artifacts: Some(ArtifactStore::open(folder, Durability::Process).unwrap()),
            dag: Some(DagTracker::in_memory()),
            ..Members::default()
        }
        .with_arbitration(ArbitrationEngine::new())
    }

    #[expect(clippy::needless_pass_by_value, reason = "reads better at its many callers")]
    fn call(members: &Members, call: &str, inputs: Value) -> Result<Value, KitError> {
        let inputs = Payload::from_value(&inputs).unwrap();
        members.call_named(call, &inputs, None).map(|result| result.value().unwrap())
    }

    #[test]
    fn an_artifact_is_put_and_got_back() {
        let folder = tempfile::tempdir().unwrap();
        let members = members(folder.path());
        let inputs = Value::from([("data", Value::from("grüße")), ("name", Value::from("text"))]);
        let id = call(&members, "artifact-store.put", inputs).unwrap();
        let data = call(&members, "artifact-store.get", Value::from([("id", id.clone())]));
        assert_eq!(data.unwrap(), Value::from("grüße".as_bytes().to_vec()));
        let found = call(&members, "artifact-store.find", Value::from([("name", "text")]));
        assert_eq!(found.unwrap(), Value::List(vec![id]));
    }

    #[test]
    fn a_run_goes_through_its_graph() {
        let folder = tempfile::tempdir().unwrap();
        let members = members(folder.path());
        let list =
            |names: &[&str]| Value::List(names.iter().map(|name| Value::from(*name)).collect());
        let graph = Value::from([("a", list(&[])), ("b", list(&["a"]))]);
        let run = call(&members, "dag-tracker.submit", Value::from([("graph", graph)])).unwrap();
        let of_run = Value::from([("run", run.clone())]);
        assert_eq!(call(&members, "dag-tracker.ready", of_run).unwrap(), list(&["a"]));
        let done = Value::from([("run", run), ("node", Value::from("a"))]);
        assert_eq!(call(&members, "dag-tracker.complete", done).unwrap(), list(&["b"]));
    }

    #[test]
    fn a_grant_is_held_by_its_number_until_it_is_released() {
        let folder = tempfile::tempdir().unwrap();
        let members = members(folder.path());
        let engine = |operation: &str, inputs: Value| {
            call(&members, &format!("arbitration-engine.{operation}"), inputs).unwrap()
        };
        let gpu = || ("resource", Value::from("gpu"));
        engine("define", Value::from([gpu(), ("capacity", Value::Int(1))]));
        let ask = || engine("request", Value::from([gpu(), ("owner", Value::from("a"))]));
        let first = ask();
        assert_eq!(first.get("outcome"), Some(&Value::from("granted")));
        assert_eq!(ask().get("outcome"), Some(&Value::from("deferred")));
        let grant = || Value::from([("grant", first.get("grant").cloned().unwrap())]);
        assert_eq!(engine("release", grant()), Value::Bool(true));
        assert_eq!(engine("release", grant()), Value::Bool(false));
        assert_eq!(ask().get("outcome"), Some(&Value::from("granted")));
    }

    #[test]
    fn a_grant_belongs_to_its_caller_and_ends_with_it() {
        let members = Members::default().with_arbitration(ArbitrationEngine::new());
        let gpu = || ("resource", Value::from("gpu"));
        let define = Value::from([gpu(), ("capacity", Value::Int(1))]);
        call(&members, "arbitration-engine.define", define).unwrap();
        let (holder, thief) = (Arc::new(Holdings::new()), Arc::new(Holdings::new()));
        let by = |caller: &Arc<Holdings>, operation: &str, inputs: Value| {
            let inputs = Payload::from_value(&inputs).unwrap();
            let member = Member::ArbitrationEngine;
            members.call_for(caller, member, operation, &inputs, None).unwrap().value().unwrap()
        };
        let ask = |caller| by(caller, "request", Value::from([gpu(), ("owner", "x".into())]));
        let first = ask(&holder);
        let grant = || Value::from([("grant", first.get("grant").cloned().unwrap())]);
        assert_eq!(by(&thief, "release", grant()), Value::Bool(false));
        let outside = call(&members, "arbitration-engine.release", grant()).unwrap();
        assert_eq!(outside, Value::Bool(false));
        assert_eq!(ask(&thief).get("outcome"), Some(&Value::from("deferred")));
        // One that waits is not waited for any more either.
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let inputs = [gpu(), ("owner", "y".into()), ("timeout", Value::Float(60.0))];
                let inputs = Payload::from_value(&Value::from(inputs)).unwrap();
                let member = Member::ArbitrationEngine;
                members.call_for(&thief, member, "request", &inputs, None).is_err()
            });
            thief.end();
            assert!(waits.join().unwrap());
        });
        holder.end();
        assert_eq!(ask(&holder).get("grant"), None, "it has ended, and is given nothing");
        assert_eq!(ask(&Arc::default()).get("outcome"), Some(&Value::from("granted")));
    }

    #[test]
    fn a_caller_gets_no_more_grants_than_it_may_hold_and_no_result_that_cannot_be_sent() {
        let folder = tempfile::tempdir().unwrap();
        let members = members(folder.path());
        let holdings = Arc::new(Holdings::of_at_most(2));
        let by = |member, operation, inputs: Value| {
            let inputs = Payload::from_value(&inputs).unwrap();
            members.call_for(&holdings, member, operation, &inputs, None)
        };
        let gpu = || ("resource", Value::from("gpu"));
        let define = Value::from([gpu(), ("capacity", Value::Int(9))]);
        by(Member::ArbitrationEngine, "define", define).unwrap();
        let ask = || {
            by(Member::ArbitrationEngine, "request", Value::from([gpu(), ("owner", "x".into())]))
        };
        let first = ask().unwrap().value().unwrap().get("grant").cloned().unwrap();
        ask().unwrap();
        assert_eq!(ask().unwrap_err().code(), Code::OVERLOADED);
        by(Member::ArbitrationEngine, "release", Value::from([("grant", first)])).unwrap();
        ask().unwrap();

        let store = members.artifacts.as_ref().unwrap();
        let get = |id: pit::artifact_store::ArtifactId| {
            by(Member::ArtifactStore, "get", Value::from([("id", id.to_string())]))
        };
        let large = store.put(&vec![7; MAX_LENGTH as usize], &PutOptions::default()).unwrap();
        let gets = store.stats().gets;
        let refused = get(large).unwrap_err();
        assert_eq!(refused.code(), Code::INVALID_VALUE);
        assert!(refused.to_string().contains("67108864 bytes"), "{refused}");
        let small = store.put(b"small", &PutOptions::default()).unwrap();
        let other = holdings.room_for(MAX_LENGTH as usize).unwrap();
        assert_eq!(get(small).unwrap_err().code(), Code::OVERLOADED);
        assert_eq!(store.stats().gets, gets, "nothing was read for what was refused");
        drop(other);
        assert_eq!(get(small).unwrap().value().unwrap(), Value::from(b"small".to_vec()));
    }

    #[test]
    fn what_waits_for_others_holds_no_thread_and_is_answered_once() {
        let members = Members::default().with_arbitration(ArbitrationEngine::new());
        let gpu = || ("resource", Value::from("gpu"));
        let define = Value::from([gpu(), ("capacity", Value::Int(1))]);
        call(&members, "arbitration-engine.define", define).unwrap();
        let held = call(
            &members,
            "arbitration-engine.request",
            Value::from([gpu(), ("owner", "first".into())]),
        );
        let (tell, told) = std::sync::mpsc::channel();
        let begin = |timeout: f64, more: &[(&str, Value)]| {
            let mut inputs = vec![gpu(), ("owner", "x".into()), ("timeout", Value::Float(timeout))];
            inputs.extend(more.iter().cloned());
            let inputs = inputs.into_iter().map(|(name, value)| (name.to_owned(), value));
            let inputs = Payload::from_value(&Value::Map(inputs.collect())).unwrap();
            let tell = tell.clone();
            let answer = Box::new(move |outcome: Result<Payload, KitError>| {
                tell.send(outcome.map(|result| result.value().unwrap())).unwrap();
            });
            let member = Member::ArbitrationEngine;
            members.begin(None, member, "request", &inputs, None, answer)
        };
        let outcome = || told.recv().unwrap().map(|told| told.get("outcome").cloned().unwrap());
        assert!(members.waits_for_others(Member::ArbitrationEngine, "request"));
        let (granted, late, withdrawn) = (begin(60.0, &[]), begin(60.0, &[]), begin(60.0, &[]));
        assert!(begin(0.0, &[]).is_none());
        assert_eq!(outcome().unwrap(), Value::from("deferred"));
        assert!(begin(60.0, &[("oner", Value::None)]).is_none());
        assert_eq!(outcome().unwrap_err().code(), Code::INVALID_VALUE);
        assert!(begin(60.0, &[("owner", "o".repeat(100_000).as_str().into())]).is_none());
        assert_eq!(outcome().unwrap_err().code(), Code::INVALID_VALUE);
        late.unwrap().time_out();
        assert_eq!(outcome().unwrap(), Value::from("deferred"));
        withdrawn.unwrap().cancel();
        assert_eq!(outcome().unwrap_err().code(), Code::INTERRUPTED);
        assert!(told.try_recv().is_err());
        let grant = held.unwrap().get("grant").cloned().unwrap();
        call(&members, "arbitration-engine.release", Value::from([("grant", grant)])).unwrap();
        assert_eq!(outcome().unwrap(), Value::from("granted"));
        granted.unwrap().cancel();
        assert!(told.try_recv().is_err());
    }

    #[test]
    fn what_is_wrong_with_a_call_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let members = members(folder.path());
        for (name, inputs, code, text) in [
            (
                "artifact-store.put",
                Value::from([("date", "x")]),
                Code::INVALID_VALUE,
                "`artifact-store.put` takes no input `date`, did you mean `data`?",
            ),
            (
                "artifact-store.put",
                Value::Map(Vec::new()),
                Code::INVALID_VALUE,
                "`artifact-store.put` lacks its input `data`",
            ),
            (
                "artifact-store.put",
                Value::from([("data", 3_i64)]),
                Code::INVALID_VALUE,
                "`data` of `artifact-store.put` is not bytes or text",
            ),
            (
                "stale-manager.sweep",
                Value::Map(Vec::new()),
                Code::UNKNOWN_OPERATION,
                "nobody answers `stale-manager.sweep`",
            ),
        ] {
            let error = call(&members, name, inputs).unwrap_err();
            assert_eq!((error.code(), error.to_string().as_str()), (code, text));
        }
        let unknown = "0".repeat(64);
        let missing = call(&members, "artifact-store.get", Value::from([("id", unknown.as_str())]));
        assert_eq!(missing.unwrap_err().code(), Code::NOT_FOUND);
    }

    #[test]
    fn every_member_has_one_table() {
        for member in Member::ALL {
            let tables = super::TABLES.iter().filter(|table| table.member == member);
            assert_eq!(tables.count(), 1, "{member}");
        }
    }

    #[test]
    fn every_member_has_operations_to_check_against() {
        let known = known_operations(&Member::ALL);
        for member in Member::ALL {
            let operations = known.target(member.as_str());
            assert!(operations.is_some_and(|known| known.operation("nothing-like-it").is_none()));
        }
        let put = known.target("artifact-store").and_then(|known| known.operation("put")).unwrap();
        let inputs = put.inputs.as_ref().unwrap();
        assert!(inputs.iter().any(|input| input.name == "data" && input.required));
        assert!(inputs.iter().any(|input| input.name == "tags" && !input.required));
    }
}
