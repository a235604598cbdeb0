//! A short life of store, tracker and pins, step by step, and what must be true of it whatever happened in between.
//!
//! Caller: [`super::table`]. What a step acknowledged must be there, live and after the next open; what it did not
//! acknowledge may be there or not, but never wrong; what it took away with an acknowledgement stays away.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use component::Hint;
use parking_lot::Mutex;

use crate::artifact_store::{ArtifactId, ArtifactStore, CHUNKED, LARGE_BLOB, PutOptions};
use crate::dag_tracker::{DagTracker, NodeState, RunId};
use crate::stale_manager::{Action, NothingInUse, Rule, StaleManager};
use crate::{Durability, PitError, PitResult};

/// One thing that a caller asks for. Numbers stand for contents and for runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    OpenStore,
    OpenTracker,
    OpenPins,
    Put(u8),
    PutNamed(u8),
    /// With a tag of which a rule says that it goes.
    PutTagged(u8),
    PutStreamed(u8),
    Get(u8),
    Delete(u8),
    Archive(u8),
    Flush,
    Reclaim,
    /// What has the tag goes.
    Sweep,
    Verify,
    /// As after a failed flush: the next call writes the journal anew.
    BreakStoreJournal,
    BreakTrackerJournal,
    Pin(u8),
    Unpin(u8),
    Submit(u8),
    Complete(u8, &'static str),
    Fail(u8, &'static str),
    Cancel(u8),
    CloseStore,
    CloseTracker,
    ClosePins,
}

use Step::{
    Archive, BreakStoreJournal, BreakTrackerJournal, Cancel, ClosePins, CloseStore, CloseTracker,
    Complete, Delete, Fail, Flush, Get, OpenPins, OpenStore, OpenTracker, Pin, Put, PutNamed,
    PutStreamed, PutTagged, Reclaim, Submit, Sweep, Unpin, Verify,
};

/// Contents from here on are large: they live in files of their own.
const LARGE: u8 = 50;
/// From here on they lie in chunks, of which they have the first in common.
const IN_CHUNKS: u8 = 80;
const TAG: &str = "swept";

pub(super) const LIFE: &[Step] = &[
    OpenStore,
    OpenTracker,
    OpenPins,
    Put(1),
    PutNamed(2),
    Put(LARGE),
    PutStreamed(LARGE + 1),
    Pin(1),
    Submit(1),
    Complete(1, "a"),
    Flush,
    Get(1),
    Get(LARGE),
    Put(3),
    Delete(3),
    Put(LARGE + 2),
    Delete(LARGE + 2),
    Archive(2),
    Archive(LARGE),
    Submit(2),
    Cancel(2),
    Submit(3),
    Fail(3, "a"),
    PutNamed(4),
    Put(IN_CHUNKS),
    PutStreamed(IN_CHUNKS + 1),
    PutTagged(8),
    PutTagged(LARGE + 3),
    Delete(IN_CHUNKS),
    BreakStoreJournal,
    Put(5),
    BreakTrackerJournal,
    Complete(1, "b"),
    Unpin(1),
    Pin(2),
    Verify,
    Sweep,
    Get(IN_CHUNKS + 1),
    Reclaim,
    CloseTracker,
    ClosePins,
    CloseStore,
    OpenStore,
    OpenTracker,
    OpenPins,
    Put(6),
    Put(3),
    PutTagged(9),
    Delete(IN_CHUNKS + 1),
    Sweep,
    PutNamed(7),
    Delete(5),
    Submit(4),
    Complete(4, "a"),
    Flush,
    CloseTracker,
    ClosePins,
    CloseStore,
];

/// What is known of something that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    /// It was not acknowledged.
    Perhaps,
    No,
}

#[derive(Debug)]
struct KnownRun {
    /// None where it was not acknowledged.
    id: Option<u64>,
    completed: BTreeMap<&'static str, Known>,
    failed: BTreeMap<&'static str, Known>,
    cancelled: Known,
}

/// What the caller was told so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    contents: BTreeMap<u8, Known>,
    /// In the order of their acknowledgements.
    named: Vec<u8>,
    /// Those that a sweep takes.
    tagged: Vec<u8>,
    pins: BTreeMap<u8, Known>,
    runs: BTreeMap<u8, KnownRun>,
}

/// The members in one folder, opened when they are needed.
pub(super) struct Members {
    folder: PathBuf,
    durability: Durability,
    store: Option<Arc<ArtifactStore>>,
    tracker: Option<Arc<DagTracker>>,
    pins: Option<Arc<StaleManager>>,
}

fn content(number: u8) -> Vec<u8> {
    if number >= IN_CHUNKS {
        let mut bytes = vec![IN_CHUNKS; CHUNKED];
        bytes.push(number);
        return bytes;
    }
    let length = if number >= LARGE { LARGE_BLOB + 1 } else { 300 };
    vec![number; length]
}

fn open_pins(
    folder: &Path,
    durability: Durability,
    store: Arc<ArtifactStore>,
) -> PitResult<Arc<StaleManager>> {
    let opened =
        StaleManager::open(&folder.join("stale"), durability, store, Arc::new(NothingInUse))?;
    opened.rule(Rule { tag: Some(TAG.to_owned()), ..Rule::new(TAG, Action::Delete) })?;
    Ok(opened)
}

/// Hashed once: without optimisation that is most of what a life costs.
fn id(number: u8) -> ArtifactId {
    static KNOWN: Mutex<BTreeMap<u8, ArtifactId>> = Mutex::new(BTreeMap::new());
    *KNOWN.lock().entry(number).or_insert_with(|| ArtifactId::of(&content(number)))
}

fn graph() -> Vec<(String, Vec<String>)> {
    [("a", &[][..]), ("b", &["a"]), ("c", &["b"])]
        .map(|(node, needs)| (node.to_owned(), needs.iter().map(ToString::to_string).collect()))
        .into()
}

impl Told {
    /// Before the step: it may have happened from now on.
    pub(super) fn begins(&mut self, step: Step) {
        match step {
            Put(number) | PutStreamed(number) | PutNamed(number) | PutTagged(number) => {
                if matches!(step, PutTagged(_)) {
                    self.tagged.push(number);
                }
                let known = self.contents.entry(number).or_insert(Known::No);
                *known = if *known == Known::Yes { Known::Yes } else { Known::Perhaps };
            }
            Delete(number) if self.contents.contains_key(&number) => {
                self.contents.insert(number, Known::Perhaps);
            }
            Sweep => {
                for number in &self.tagged {
                    self.contents.insert(*number, Known::Perhaps);
                }
            }
            Pin(number) | Unpin(number) => drop(self.pins.insert(number, Known::Perhaps)),
            Complete(run, node) => self.of_run(run, |run| {
                run.completed.insert(node, Known::Perhaps);
            }),
            Fail(run, node) => self.of_run(run, |run| {
                run.failed.insert(node, Known::Perhaps);
            }),
            Cancel(run) => self.of_run(run, |run| run.cancelled = Known::Perhaps),
            _ => {}
        }
    }

    /// The step was acknowledged. `detail` is a run's number, or how much of a sweep failed.
    pub(super) fn acknowledged(&mut self, step: Step, detail: u64) {
        match step {
            Put(number) | PutStreamed(number) | PutTagged(number) => {
                self.contents.insert(number, Known::Yes);
            }
            Sweep if detail == 0 => {
                for number in &self.tagged {
                    self.contents.insert(*number, Known::No);
                }
            }
            PutNamed(number) => {
                self.contents.insert(number, Known::Yes);
                self.named.push(number);
            }
            Delete(number) => drop(self.contents.insert(number, Known::No)),
            Pin(number) => drop(self.pins.insert(number, Known::Yes)),
            Unpin(number) => drop(self.pins.insert(number, Known::No)),
            Submit(run) => {
                let known = KnownRun {
                    id: Some(detail),
                    completed: BTreeMap::new(),
                    failed: BTreeMap::new(),
                    cancelled: Known::No,
                };
                self.runs.insert(run, known);
            }
            Complete(run, node) => self.of_run(run, |run| {
                run.completed.insert(node, Known::Yes);
            }),
            Fail(run, node) => self.of_run(run, |run| {
                run.failed.insert(node, Known::Yes);
            }),
            Cancel(run) => self.of_run(run, |run| run.cancelled = Known::Yes),
            _ => {}
        }
    }

    fn of_run(&mut self, run: u8, change: impl FnOnce(&mut KnownRun)) {
        if let Some(run) = self.runs.get_mut(&run) {
            change(run);
        }
    }

    /// The number of a run that was acknowledged.
    fn run(&self, run: u8) -> Option<RunId> {
        self.runs.get(&run)?.id.map(RunId)
    }

    /// Holds the members against what was told; answers what is wrong.
    pub(super) fn held_against(&self, members: &mut Members) -> Result<(), String> {
        self.contents_of(members)?;
        self.runs_of(members)?;
        let pins = members.pins().map_err(|error| format!("the pins do not open: {error}"))?;
        let pinned = pins.pinned();
        for (number, known) in &self.pins {
            let found = pinned.contains(&id(*number));
            if *known != Known::Perhaps && found != (*known == Known::Yes) {
                return Err(format!("pin of {number}: {known:?}, and found is {found}"));
            }
        }
        Ok(())
    }

    fn contents_of(&self, members: &mut Members) -> Result<(), String> {
        let store = members.store().map_err(|error| format!("the store does not open: {error}"))?;
        for (number, known) in &self.contents {
            let there = match store.get(&id(*number)) {
                Ok(data) if data == content(*number) => true,
                Ok(_) => return Err(format!("content {number} is wrong")),
                Err(PitError::NotFound { .. }) => false,
                Err(error) => return Err(format!("content {number} ({known:?}): {error}")),
            };
            if *known != Known::Perhaps && there != (*known == Known::Yes) {
                return Err(format!("content {number}: {known:?}, and found is {there}"));
            }
            let listed = store.exists(&id(*number)).map_err(|error| error.to_string())?;
            if listed != there {
                return Err(format!("content {number}: read is {there}, listed is {listed}"));
            }
        }
        let versions = store.versions("name").map_err(|error| error.to_string())?;
        let mut rest = versions.iter();
        for number in &self.named {
            if !rest.any(|version| *version == id(*number)) {
                return Err(format!("version {number} is not among {}", versions.len()));
            }
        }
        let report = store.verify().map_err(|error| format!("it cannot be verified: {error}"))?;
        if !report.bad.is_empty() {
            return Err(format!("{} artifacts are bad", report.bad.len()));
        }
        Ok(())
    }

    fn runs_of(&self, members: &mut Members) -> Result<(), String> {
        let tracker =
            members.tracker().map_err(|error| format!("the tracker does not open: {error}"))?;
        for (number, run) in &self.runs {
            let Some(run_id) = run.id.map(RunId) else { continue };
            let status = match tracker.status(run_id) {
                // A cancelled one is not resumed.
                Err(PitError::NotFound { .. }) if run.cancelled != Known::No => continue,
                Err(error) => return Err(format!("run {number}: {error}")),
                Ok(status) => status,
            };
            for node in &status.nodes {
                let known = |told: &BTreeMap<&str, Known>| {
                    told.get(&*node.name).copied().unwrap_or(Known::No)
                };
                for (told, state) in
                    [(&run.completed, NodeState::Completed), (&run.failed, NodeState::Failed)]
                {
                    let (known, found) = (known(told), node.state == state);
                    if known != Known::Perhaps && found != (known == Known::Yes) {
                        let (name, is) = (&node.name, node.state);
                        return Err(format!("node {name} of run {number}: {known:?}, is {is:?}"));
                    }
                }
            }
        }
        Ok(())
    }
}

impl Members {
    pub(super) fn new(folder: &Path, durability: Durability) -> Self {
        let folder = folder.to_owned();
        Self { folder, durability, store: None, tracker: None, pins: None }
    }

    fn store(&mut self) -> PitResult<Arc<ArtifactStore>> {
        let store = match &self.store {
            Some(store) => Arc::clone(store),
            None => ArtifactStore::open(&self.folder.join("store"), self.durability)?,
        };
        Ok(Arc::clone(self.store.insert(store)))
    }

    fn tracker(&mut self) -> PitResult<Arc<DagTracker>> {
        let tracker = match &self.tracker {
            Some(tracker) => Arc::clone(tracker),
            None => DagTracker::open(&self.folder.join("dag"), self.durability)?,
        };
        Ok(Arc::clone(self.tracker.insert(tracker)))
    }

    fn pins(&mut self) -> PitResult<Arc<StaleManager>> {
        let store = self.store()?;
        let pins = match &self.pins {
            Some(pins) => Arc::clone(pins),
            None => open_pins(&self.folder, self.durability, store)?,
        };
        Ok(Arc::clone(self.pins.insert(pins)))
    }

    /// Does the step. What it answers is held against what was told; the number is a run's.
    pub(super) fn perform(&mut self, step: Step, told: &Told) -> Result<PitResult<u64>, String> {
        let done = self.ask(step, told)?;
        if let Err(error) = &done
            && (error.to_string().is_empty() || error.code() == component::Code::INTERNAL)
        {
            return Err(format!("it does not say why: {error}"));
        }
        Ok(done)
    }

    fn ask(&mut self, step: Step, told: &Told) -> Result<PitResult<u64>, String> {
        let plain = PutOptions::default();
        let named = PutOptions { name: Some("name".to_owned()), ..PutOptions::default() };
        Ok(match step {
            OpenStore => self.store().map(|_| 0),
            OpenTracker => self.tracker().map(|_| 0),
            OpenPins => self.pins().map(|_| 0),
            Put(number) => {
                self.store().and_then(|store| store.put(&content(number), &plain)).map(|_| 0)
            }
            PutNamed(number) => {
                self.store().and_then(|store| store.put(&content(number), &named)).map(|_| 0)
            }
            PutTagged(number) => {
                let tagged = PutOptions { tags: vec![TAG.to_owned()], ..PutOptions::default() };
                self.store().and_then(|store| store.put(&content(number), &tagged)).map(|_| 0)
            }
            PutStreamed(number) => self
                .store()
                .and_then(|store| store.put_reader(&content(number)[..], &plain))
                .map(|_| 0),
            Get(number) => match self.store().and_then(|store| store.get(&id(number))) {
                Ok(data) if data != content(number) => {
                    return Err(format!("content {number} is wrong"));
                }
                Err(PitError::NotFound { .. })
                    if told.contents.get(&number) == Some(&Known::Yes) =>
                {
                    return Err(format!("content {number} is lost"));
                }
                other => other.map(|_| 0),
            },
            Delete(number) => self.store().and_then(|store| store.delete(&id(number))).map(|()| 0),
            Archive(number) => {
                self.store().and_then(|store| store.archive(&id(number))).map(|()| 0)
            }
            Flush => self.store().and_then(|store| store.flush()).map(|()| 0),
            Reclaim => self.store().and_then(|store| store.reclaim(None)),
            Sweep => self
                .pins()
                .and_then(|pins| pins.sweep(false))
                .map(|report| report.failures.len() as u64),
            Verify => self.store().and_then(|store| store.verify()).map(|_| 0),
            BreakStoreJournal => self.store().map(|store| {
                store.journal().break_now();
                0
            }),
            BreakTrackerJournal => self.tracker().map(|tracker| {
                tracker.journal().break_now();
                0
            }),
            Pin(number) => self.pins().and_then(|pins| pins.pin(&id(number))).map(u64::from),
            Unpin(number) => self.pins().and_then(|pins| pins.unpin(&id(number))).map(u64::from),
            Submit(_) => {
                self.tracker().and_then(|tracker| tracker.submit(&graph(), 0)).map(|run| run.0)
            }
            Complete(run, node) => self
                .on_run(told.run(run), |tracker, run| tracker.complete(run, node, None).map(|_| 0)),
            Fail(run, node) => self.on_run(told.run(run), |tracker, run| {
                tracker.fail(run, node, "it failed").map(|_| 0)
            }),
            Cancel(run) => {
                self.on_run(told.run(run), |tracker, run| tracker.cancel(run).map(|()| 0))
            }
            // Whether it ends well or not, nobody holds it afterwards, as at a shutdown.
            CloseStore => self.store.take().map_or(Ok(()), |store| store.close()).map(|()| 0),
            CloseTracker => {
                self.tracker.take().map_or(Ok(()), |tracker| tracker.close()).map(|()| 0)
            }
            ClosePins => self.pins.take().map_or(Ok(()), |pins| pins.close()).map(|()| 0),
        })
    }

    fn on_run(
        &mut self,
        run: Option<RunId>,
        work: impl FnOnce(&DagTracker, RunId) -> PitResult<u64>,
    ) -> PitResult<u64> {
        let tracker = self.tracker()?;
        match run {
            Some(run) => work(&tracker, run),
            // Its submission was not acknowledged.
            None => Err(PitError::Stopped { member: "dag-tracker" }),
        }
    }
}
