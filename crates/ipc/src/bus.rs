//! The bus of a process: its background reader, and topics that reach subscribers in the process without a system
//! call and guests over their lanes.
//!
//! Invariant: a publisher waits only where a subscriber in the process asked for that (`Policy::Block`), and never on
//! a guest; every value that is dropped is counted and told.

use std::collections::{HashMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::{IpcError, ReceiveError};
use crate::hooks::{self, Hook, Hooks};
use crate::lane::Lane;
use crate::payload::Payload;
use crate::reader::Reader;

/// What happens to a value for which a subscription has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// The publisher waits. (What comes from a guest never waits: the oldest gives way.)
    Block,
    /// The oldest value gives way.
    DropOldest,
    /// Only the newest value is kept, whatever the capacity.
    Latest,
    /// The new value is dropped.
    Reject,
}

/// How often a waiting publisher is asked whether to go on.
const ASK: Duration = Duration::from_millis(50);

/// What a publisher does where a subscription with `Policy::Block` has no room.
enum Wait<'a> {
    Never,
    Forever,
    /// It waits until this says to give up; the oldest value gives way then.
    Asking(&'a dyn Fn() -> bool),
}

#[derive(Default)]
struct Queue {
    values: VecDeque<Payload>,
    closed: bool,
    hooks: Hooks,
}

struct Subscriber {
    policy: Policy,
    capacity: usize,
    queue: Mutex<Queue>,
    filled: Condvar,
    emptied: Condvar,
    dropped: AtomicU64,
}

impl Subscriber {
    /// Takes a value in; says how many were dropped.
    fn offer(&self, value: Payload, wait: &Wait<'_>) -> u64 {
        let mut queue = self.queue.lock();
        let mut dropped = 0;
        while queue.values.len() >= self.capacity && !queue.closed {
            match self.policy {
                Policy::Block if matches!(wait, Wait::Forever) => self.emptied.wait(&mut queue),
                Policy::Block if self.ask(&mut queue, wait) => {}
                Policy::Reject => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    return 1;
                }
                Policy::Block | Policy::DropOldest | Policy::Latest => {
                    queue.values.pop_front();
                    dropped += 1;
                }
            }
        }
        let mut hooks = Vec::new();
        if !queue.closed {
            queue.values.push_back(value);
            self.filled.notify_one();
            hooks = queue.hooks.take();
        }
        drop(queue);
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
        hooks::call(hooks);
        dropped
    }

    /// Waits a moment for room, then asks the publisher whether to go on waiting.
    fn ask(&self, queue: &mut MutexGuard<'_, Queue>, wait: &Wait<'_>) -> bool {
        let Wait::Asking(give_up) = wait else { return false };
        let waited = self.emptied.wait_for(queue, ASK);
        !waited.timed_out() || !MutexGuard::unlocked(queue, give_up)
    }

    fn close(&self) {
        let hooks = {
            let mut queue = self.queue.lock();
            queue.closed = true;
            queue.hooks.take()
        };
        self.filled.notify_all();
        self.emptied.notify_all();
        hooks::call(hooks);
    }
}

/// A guest that subscribed.
struct Remote {
    lane: Lane,
    policy: Policy,
    capacity: usize,
    /// Drops that it was not told of yet.
    untold: AtomicU64,
}

#[derive(Default)]
struct Subscribers {
    local: Vec<Weak<Subscriber>>,
    remote: Vec<Arc<Remote>>,
}

struct TopicCore {
    name: String,
    subscribers: Mutex<Subscribers>,
}

struct BusCore {
    reader: Reader,
    topics: Mutex<HashMap<String, Arc<TopicCore>>>,
}

impl Drop for BusCore {
    fn drop(&mut self) {
        for topic in self.topics.get_mut().values() {
            topic.close();
        }
    }
}

/// The bus. Clones are the same bus; its subscriptions end with the last one.
#[derive(Clone)]
pub struct Bus(Arc<BusCore>);

impl Bus {
    /// Starts the background reader and an empty set of topics.
    ///
    /// # Errors
    /// [`IpcError`] when the background reader cannot be started.
    pub fn new() -> Result<Self, IpcError> {
        Ok(Self(Arc::new(BusCore { reader: Reader::new()?, topics: Mutex::default() })))
    }

    /// The background thread, for opening lanes and capturing pipes.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// The topic of that name; it comes to be when it is first asked for.
    pub fn topic(&self, name: &str) -> Topic {
        let mut topics = self.0.topics.lock();
        if let Some(topic) = topics.get(name) {
            return Topic(Arc::clone(topic));
        }
        let subscribers = Mutex::default();
        let topic = Arc::new(TopicCore { name: name.to_owned(), subscribers });
        topics.insert(name.to_owned(), Arc::clone(&topic));
        Topic(topic)
    }

    /// A writable buffer of `length` zeros, to be filled in place and published.
    pub fn loan(&self, length: usize) -> Loan {
        Loan(vec![0; length])
    }

    /// Ends every subscription and forgets every lane.
    pub fn close(&self) {
        for topic in self.0.topics.lock().values() {
            topic.close();
        }
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Bus").finish_non_exhaustive()
    }
}

impl TopicCore {
    fn close(&self) {
        let ended = std::mem::take(&mut *self.subscribers.lock());
        for subscriber in ended.local.iter().filter_map(Weak::upgrade) {
            subscriber.close();
        }
    }
}

/// A named stream of values.
#[derive(Clone)]
pub struct Topic(Arc<TopicCore>);

impl Topic {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Publishes a value to everybody who is subscribed now; says how many values were dropped for it.
    pub fn publish(&self, value: &Payload) -> u64 {
        self.deliver(value, &Wait::Forever)
    }

    /// As [`Topic::publish`]; where it has to wait, `poll` is called every 50 ms and ends the wait by returning true.
    pub fn publish_polling(&self, value: &Payload, poll: &dyn Fn() -> bool) -> u64 {
        self.deliver(value, &Wait::Asking(poll))
    }

    /// Publishes a value that came over a lane: nobody may be made to wait.
    pub fn publish_from_lane(&self, value: &Payload) -> u64 {
        self.deliver(value, &Wait::Never)
    }

    fn deliver(&self, value: &Payload, wait: &Wait<'_>) -> u64 {
        let (local, remote) = {
            let mut subscribers = self.0.subscribers.lock();
            subscribers.remote.retain(|remote| remote.lane.closed().is_none());
            subscribers.local.retain(|local| local.strong_count() > 0);
            let local: Vec<_> = subscribers.local.iter().filter_map(Weak::upgrade).collect();
            (local, subscribers.remote.clone())
        };
        let kept: u64 = local.iter().map(|subscriber| subscriber.offer(value.clone(), wait)).sum();
        kept + remote.iter().map(|remote| remote.send(&self.0.name, value)).sum::<u64>()
    }

    /// Subscribes to what is published from now on; at most `capacity` values wait.
    pub fn subscribe(&self, policy: Policy, capacity: usize) -> Subscription {
        let capacity = if policy == Policy::Latest { 1 } else { capacity.max(1) };
        let subscriber = Arc::new(Subscriber {
            policy,
            capacity,
            queue: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        self.0.subscribers.lock().local.push(Arc::downgrade(&subscriber));
        Subscription(subscriber)
    }

    /// Subscribes a guest, once; its lane's end unsubscribes it. `Policy::Block` drops the oldest: a guest that reads
    /// slowly loses values, and is told how many, but never holds a publisher back.
    pub fn subscribe_lane(&self, lane: &Lane, policy: Policy, capacity: usize) {
        let capacity = if policy == Policy::Latest { 1 } else { capacity.max(1) };
        let mut subscribers = self.0.subscribers.lock();
        subscribers.remote.retain(|remote| !remote.lane.is_same(lane));
        let untold = AtomicU64::new(0);
        subscribers.remote.push(Arc::new(Remote { lane: lane.clone(), policy, capacity, untold }));
    }

    /// Unsubscribes a guest.
    pub fn unsubscribe_lane(&self, lane: &Lane) {
        self.0.subscribers.lock().remote.retain(|remote| !remote.lane.is_same(lane));
    }

    /// How many are subscribed, in the process and beyond.
    pub fn subscribers(&self) -> usize {
        let subscribers = self.0.subscribers.lock();
        let local = subscribers.local.iter().filter(|local| local.strong_count() > 0).count();
        local + subscribers.remote.len()
    }
}

impl std::fmt::Debug for Topic {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Topic").field("name", &self.0.name).finish_non_exhaustive()
    }
}

impl Remote {
    fn send(&self, topic: &str, value: &Payload) -> u64 {
        let newest = self.policy != Policy::Reject;
        let Ok(dropped) = self.lane.publish_with(topic, value, self.capacity, newest) else {
            return 0;
        };
        let untold = self.untold.fetch_add(dropped, Ordering::Relaxed) + dropped;
        if dropped == 0 && untold > 0 && self.lane.report_dropped(topic, untold).is_ok() {
            self.untold.fetch_sub(untold, Ordering::Relaxed);
        }
        dropped
    }
}

/// A place where the values of a topic wait for one reader. Dropping it unsubscribes.
pub struct Subscription(Arc<Subscriber>);

impl Subscription {
    /// The next value; waits for it, at most `timeout`.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`]; [`ReceiveError::Closed`] when the bus is gone and nothing is left.
    pub fn recv(&self, timeout: Option<Duration>) -> Result<Payload, ReceiveError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut queue = self.0.queue.lock();
        loop {
            if let Some(value) = queue.values.pop_front() {
                self.0.emptied.notify_one();
                return Ok(value);
            }
            if queue.closed {
                return Err(ReceiveError::Closed);
            }
            match deadline {
                None => self.0.filled.wait(&mut queue),
                Some(deadline) if Instant::now() >= deadline => return Err(ReceiveError::TimedOut),
                Some(deadline) => drop(self.0.filled.wait_until(&mut queue, deadline)),
            }
        }
    }

    /// The next value, where it is there already.
    ///
    /// # Errors
    /// As [`Subscription::recv`], which would have to wait after [`ReceiveError::TimedOut`].
    pub fn try_recv(&self) -> Result<Payload, ReceiveError> {
        let mut queue = self.0.queue.lock();
        match queue.values.pop_front() {
            Some(value) => {
                self.0.emptied.notify_one();
                Ok(value)
            }
            None if queue.closed => Err(ReceiveError::Closed),
            None => Err(ReceiveError::TimedOut),
        }
    }

    /// Has `hook` called once, when a value comes or the subscription ends. False: there is one now, or it has ended, and
    /// `hook` is not kept.
    pub fn watch(&self, key: u64, hook: Hook) -> bool {
        let mut queue = self.0.queue.lock();
        let empty = queue.values.is_empty() && !queue.closed;
        if empty {
            queue.hooks.put(key, hook);
        }
        empty
    }

    /// Takes a hook back.
    pub fn unwatch(&self, key: u64) {
        self.0.queue.lock().hooks.remove(key);
    }

    /// Unsubscribes: what waits for a value hears of the end. What has come already can still be taken.
    pub fn close(&self) {
        self.0.close();
    }

    /// How many values were dropped here so far.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A writable buffer that becomes a value of bytes without being copied by its user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loan(Vec<u8>);

impl Loan {
    /// The bytes, finished.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from(self.0)
    }
}

impl Deref for Loan {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
