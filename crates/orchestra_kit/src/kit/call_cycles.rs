//! Who waits for whom among extensions, so that a call that could never be answered is refused at once.
//!
//! Asked by the router before it sends a call on. What waits is a thread that serves requests: while it waits for a call of
//! its own, what needs it is not served. Invariant: a call is refused only where every thread of the ring waits for the
//! next one, so that no answer can come before one of them gives up; nobody is asked anything under the lock.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use ipc::Blocks;
use parking_lot::Mutex;

use crate::manifest::ExtensionManifest;

/// One version of an extension: two of the same name are two.
#[derive(Clone)]
pub(super) struct Version(Arc<ExtensionManifest>);

impl Version {
    pub(super) fn of(manifest: &Arc<ExtensionManifest>) -> Self {
        Self(Arc::clone(manifest))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// Whether an operation runs beside others where it is called; none as long as that is not known.
type RunsBeside = Box<dyn Fn() -> Option<bool> + Send + Sync>;

/// A call that a thread waits for. `P` tells one version of an extension from every other.
pub(super) struct Waiting<P> {
    /// As it was called.
    call: String,
    target: P,
    ask: RunsBeside,
    beside: OnceLock<bool>,
}

impl<P: Clone> Waiting<P> {
    pub(super) fn new(
        call: &str,
        target: P,
        runs_beside: impl Fn() -> Option<bool> + Send + Sync + 'static,
    ) -> Self {
        let (call, ask) = (call.to_owned(), Box::new(runs_beside));
        Self { call, target, ask, beside: OnceLock::new() }
    }

    /// Asks how the operation runs, unless it is known. What is not running yet waits for nobody.
    fn learn(&self) {
        if self.beside.get().is_none()
            && let Some(beside) = (self.ask)()
        {
            let _ = self.beside.set(beside);
        }
    }

    /// The threads without which there is no answer. Whatever comes is taken in by the serving thread; an asynchronous
    /// operation then needs the loop.
    fn needs(&self) -> impl Iterator<Item = (P, Blocks)> {
        let beside = self.beside.get().copied().unwrap_or(false);
        let of = |blocks| (self.target.clone(), blocks);
        [Some(of(Blocks::Serving)), beside.then(|| of(Blocks::Loop))].into_iter().flatten()
    }
}

/// A wait and its number, which no other of its thread has.
type Numbered<P> = (u64, Arc<Waiting<P>>);

struct Graph<P> {
    /// What a thread waits for: of whom, and which of the two.
    waiting: HashMap<(P, Blocks), Numbered<P>>,
    last: u64,
}

/// The waits of one system.
pub(super) struct CallCycles<P>(Mutex<Graph<P>>);

impl<P> Default for CallCycles<P> {
    fn default() -> Self {
        Self(Mutex::new(Graph { waiting: HashMap::new(), last: 0 }))
    }
}

/// A wait that is under way, until this is dropped.
pub(super) struct Wait<P: Eq + Hash> {
    cycles: Arc<CallCycles<P>>,
    server: (P, Blocks),
    number: u64,
}

impl<P: Clone + Eq + Hash> CallCycles<P> {
    /// A thread of an extension begins to wait for a call; where that could never be answered, the ring of calls, the new
    /// one first.
    pub(super) fn begin(
        self: &Arc<Self>,
        caller: P,
        blocks: Blocks,
        waiting: Waiting<P>,
    ) -> Result<Wait<P>, Vec<String>> {
        let others: Vec<_> = {
            let graph = self.0.lock();
            graph.waiting.values().map(|(_, other)| Arc::clone(other)).collect()
        };
        for other in &others {
            other.learn();
        }
        waiting.learn();
        let server = (caller, blocks);
        let mut ring = vec![waiting.call.clone()];
        let mut graph = self.0.lock();
        if graph.leads_back(&waiting, &server, &mut HashSet::new(), &mut ring) {
            return Err(ring);
        }
        graph.last += 1;
        let number = graph.last;
        graph.waiting.insert(server.clone(), (number, Arc::new(waiting)));
        drop(graph);
        Ok(Wait { cycles: Arc::clone(self), server, number })
    }
}

impl<P: Clone + Eq + Hash> Graph<P> {
    /// Whether one of the threads that a call needs waits, over however many others, for that one; the calls on the way.
    ///
    /// Each thread is looked at once, whatever number of ways leads to it: the way there was not back, or this had ended.
    fn leads_back(
        &self,
        of: &Waiting<P>,
        to: &(P, Blocks),
        seen: &mut HashSet<(P, Blocks)>,
        ring: &mut Vec<String>,
    ) -> bool {
        of.needs().any(|server| {
            if server == *to {
                return true;
            }
            let Some((_, next)) = self.waiting.get(&server) else { return false };
            if !seen.insert(server) {
                return false;
            }
            ring.push(next.call.clone());
            let leads = self.leads_back(next, to, seen, ring);
            if !leads {
                ring.pop();
            }
            leads
        })
    }
}

impl<P: Eq + Hash> Drop for Wait<P> {
    fn drop(&mut self) {
        let mut graph = self.cycles.0.lock();
        // A thread whose wait was given up may have begun another one.
        let current =
            graph.waiting.get(&self.server).is_some_and(|(number, _)| *number == self.number);
        let ended = if current { graph.waiting.remove(&self.server) } else { None };
        drop(graph);
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ipc::Blocks;

    use super::{CallCycles, Waiting};

    fn waits(call: &'static str, beside: bool) -> Waiting<&'static str> {
        Waiting::new(call, &call[..1], move || Some(beside))
    }

    #[test]
    fn a_ring_is_refused_with_its_calls_and_nothing_else_is() {
        let cycles = Arc::new(CallCycles::default());
        let begin =
            |caller: &'static str, call| cycles.begin(caller, Blocks::Serving, waits(call, false));
        let first = begin("a", "b.x").ok().unwrap();
        let _second = begin("b", "c.y").ok().unwrap();
        let _other = begin("d", "a.z").ok().unwrap();
        assert_eq!(begin("c", "a.z").err().unwrap(), ["a.z", "b.x", "c.y"]);
        drop(first);
        let _third = begin("c", "a.z").ok().unwrap();
    }

    #[test]
    fn what_calls_itself_is_a_ring_of_one() {
        let cycles = Arc::new(CallCycles::default());
        let begin = |blocks, beside| cycles.begin("a", blocks, waits("a.x", beside));
        assert_eq!(begin(Blocks::Serving, false).err().unwrap(), ["a.x"]);
        assert_eq!(begin(Blocks::Serving, true).err().unwrap(), ["a.x"]);
        assert_eq!(begin(Blocks::Loop, true).err().unwrap(), ["a.x"]);
        // The loop waits, and the serving thread is there.
        drop(begin(Blocks::Loop, false).ok().unwrap());
    }

    #[test]
    fn a_wait_that_was_given_up_does_not_end_the_next_one() {
        let cycles = Arc::new(CallCycles::default());
        let begin =
            |caller: &'static str, call| cycles.begin(caller, Blocks::Serving, waits(call, false));
        let first = begin("a", "b.x").ok().unwrap();
        let _second = begin("a", "c.x").ok().unwrap();
        drop(first);
        assert_eq!(begin("c", "a.x").err().unwrap(), ["a.x", "c.x"]);
    }

    /// Lazy ones: that `b.x` runs on a loop is known only once `b` has started, which is before its loop can wait.
    #[test]
    fn what_is_not_known_at_first_is_asked_again() {
        let cycles = Arc::new(CallCycles::default());
        let started = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let known = Arc::clone(&started);
        let lazy = Waiting::new("b.x", "b", move || {
            known.load(std::sync::atomic::Ordering::Relaxed).then_some(true)
        });
        let _first = cycles.begin("a", Blocks::Serving, lazy).ok().unwrap();
        started.store(true, std::sync::atomic::Ordering::Relaxed);
        let back = cycles.begin("b", Blocks::Loop, waits("a.y", false));
        assert_eq!(back.err().unwrap(), ["a.y", "b.x"]);
    }

    /// Both threads of each wait for both of the next: two to the number of rungs ways lead to the last one.
    #[test]
    fn a_ladder_of_waits_is_climbed_once() {
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let cycles = Arc::new(CallCycles::default());
            let to = |rung: usize| Waiting::new(&format!("{rung}.x"), rung, || Some(true));
            let mut waits = Vec::new();
            for rung in (0..40).rev() {
                for blocks in [Blocks::Serving, Blocks::Loop] {
                    waits.push(cycles.begin(rung, blocks, to(rung + 1)).ok().unwrap());
                }
            }
            let ring = cycles.begin(40, Blocks::Loop, to(0)).err().unwrap();
            tell.send((waits.len(), ring.len())).unwrap();
        });
        let outcome = told.recv_timeout(std::time::Duration::from_secs(60));
        assert_eq!(outcome, Ok((80, 41)));
    }
}
