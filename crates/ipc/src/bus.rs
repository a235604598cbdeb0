//! The bus of a process: its background reader, and topics that reach subscribers in the process without a system
//! call and guests over their lanes.
//!
//! Invariants: a publisher waits only where a subscriber in the process asked for that (`Policy::Block`), and never on
//! a guest; every value that is dropped is counted and told. What waits is bounded in bytes; a topic ends with its last
//! handle and its last subscriber, a lane's subscriptions with the lane.

use std::collections::{HashMap, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::error::{CallError, IpcError, ProtocolError, ReceiveError};
use crate::frame::MAX_LENGTH;
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

/// How many bytes of values wait in one subscription; one value alone always has room.
const BYTES: usize = MAX_LENGTH as usize;
/// To how many topics one lane may subscribe.
const TOPICS: usize = 1024;
/// And how many bytes their names may have together.
const NAMES: usize = 64 * 1024;

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
    bytes: usize,
    closed: bool,
    hooks: Hooks,
}

impl Queue {
    fn is_full(&self, capacity: usize, size: usize) -> bool {
        self.values.len() >= capacity || self.bytes > 0 && self.bytes + size > BYTES
    }

    fn push(&mut self, value: Payload) {
        self.bytes += value.size();
        self.values.push_back(value);
    }

    fn pop(&mut self) -> Option<Payload> {
        let value = self.values.pop_front()?;
        self.bytes -= value.size();
        Some(value)
    }
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
        while queue.is_full(self.capacity, value.size()) && !queue.closed {
            match self.policy {
                Policy::Block if matches!(wait, Wait::Forever) => self.emptied.wait(&mut queue),
                Policy::Block if self.ask(&mut queue, wait) => {}
                Policy::Reject => {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    return 1;
                }
                Policy::Block | Policy::DropOldest | Policy::Latest => {
                    queue.pop();
                    dropped += 1;
                }
            }
        }
        let mut hooks = Vec::new();
        if !queue.closed {
            queue.push(value);
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
    bus: Weak<BusCore>,
    closed: AtomicBool,
}

impl Drop for TopicCore {
    fn drop(&mut self) {
        let Some(bus) = self.bus.upgrade() else { return };
        let mut topics = bus.topics.lock();
        // Another of that name may have come to be since this one had its last user.
        if topics.get(&self.name).is_some_and(|topic| topic.strong_count() == 0) {
            topics.remove(&self.name);
        }
    }
}

struct BusCore {
    reader: Reader,
    /// Those that somebody uses. None of them is let go of under the lock, which its end takes.
    topics: Mutex<HashMap<String, Weak<TopicCore>>>,
    /// What each lane is subscribed to, by its number: that keeps the topics.
    lanes: Mutex<HashMap<u64, HashMap<String, Arc<TopicCore>>>>,
    closed: AtomicBool,
}

impl BusCore {
    fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let topics: Vec<_> = self.topics.lock().values().filter_map(Weak::upgrade).collect();
        for topic in topics {
            topic.close();
        }
        let lanes = std::mem::take(&mut *self.lanes.lock());
        drop(lanes);
    }
}

impl Drop for BusCore {
    fn drop(&mut self) {
        self.close();
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
        Ok(Self(Arc::new(BusCore {
            reader: Reader::new()?,
            topics: Mutex::default(),
            lanes: Mutex::default(),
            closed: AtomicBool::new(false),
        })))
    }

    /// The background thread, for opening lanes and capturing pipes.
    pub fn reader(&self) -> &Reader {
        &self.0.reader
    }

    /// The topic of that name; it is there for as long as somebody has it or is subscribed to it.
    pub fn topic(&self, name: &str) -> Topic {
        let mut topics = self.0.topics.lock();
        if let Some(topic) = topics.get(name).and_then(Weak::upgrade) {
            return Topic(topic);
        }
        let topic = Arc::new(TopicCore {
            name: name.to_owned(),
            subscribers: Mutex::default(),
            bus: Arc::downgrade(&self.0),
            closed: AtomicBool::new(self.0.closed.load(Ordering::Acquire)),
        });
        topics.insert(name.to_owned(), Arc::downgrade(&topic));
        Topic(topic)
    }

    /// Publishes a value that came over a lane: nobody may be made to wait, and a topic that nobody uses is not made.
    pub fn publish_from_lane(&self, topic: &str, value: &Payload) -> u64 {
        let known = self.0.topics.lock().get(topic).and_then(Weak::upgrade);
        known.map_or(0, |topic| Topic(topic).publish_from_lane(value))
    }

    /// A lane is closed: all of its subscriptions end.
    pub fn forget_lane(&self, lane: u64) {
        let topics = self.0.lanes.lock().remove(&lane).unwrap_or_default();
        for topic in topics.into_values() {
            topic.forget(lane);
        }
    }

    /// How many topics there are.
    pub fn topics(&self) -> usize {
        self.0.topics.lock().len()
    }

    /// A writable buffer of `length` zeros, to be filled in place and published.
    pub fn loan(&self, length: usize) -> Loan {
        Loan(vec![0; length])
    }

    /// Ends every subscription and forgets every lane.
    pub fn close(&self) {
        self.0.close();
    }
}

impl std::fmt::Debug for Bus {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Bus").finish_non_exhaustive()
    }
}

impl TopicCore {
    fn forget(&self, lane: u64) {
        let is_its = |remote: &mut Arc<Remote>| remote.lane.id() == lane;
        let gone: Vec<_> = self.subscribers.lock().remote.extract_if(.., is_its).collect();
        // Without the lock: a lane's last handle may be among them.
        drop(gone);
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Release);
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

    /// Whether the bus is closed, and nothing comes here any more.
    pub fn is_closed(&self) -> bool {
        self.0.closed.load(Ordering::Acquire)
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
        {
            let mut subscribers = self.0.subscribers.lock();
            subscribers.local.retain(|local| local.strong_count() > 0);
            subscribers.local.push(Arc::downgrade(&subscriber));
        }
        if self.is_closed() {
            subscriber.close();
        }
        Subscription(subscriber, self.clone())
    }

    /// Subscribes a guest, once; its lane's end unsubscribes it. `Policy::Block` drops the oldest: a guest that reads
    /// slowly loses values, and is told how many, but never holds a publisher back. [`Bus::forget_lane`] must follow the
    /// lane's end.
    ///
    /// # Errors
    /// [`ProtocolError::Subscriptions`] where it has as many as it may.
    pub fn subscribe_lane(
        &self,
        lane: &Lane,
        policy: Policy,
        capacity: usize,
    ) -> Result<(), ProtocolError> {
        let Some(bus) = self.0.bus.upgrade() else { return Ok(()) };
        {
            let mut lanes = bus.lanes.lock();
            let topics = lanes.entry(lane.id()).or_default();
            let names: usize = topics.keys().map(String::len).sum();
            if !topics.contains_key(self.name()) {
                if topics.len() >= TOPICS || names + self.name().len() > NAMES {
                    return Err(ProtocolError::Subscriptions { topics: TOPICS, bytes: NAMES });
                }
                topics.insert(self.name().to_owned(), Arc::clone(&self.0));
            }
        }
        let capacity = if policy == Policy::Latest { 1 } else { capacity.max(1) };
        let mut subscribers = self.0.subscribers.lock();
        subscribers.remote.retain(|remote| !remote.lane.is_same(lane));
        let untold = AtomicU64::new(0);
        subscribers.remote.push(Arc::new(Remote { lane: lane.clone(), policy, capacity, untold }));
        Ok(())
    }

    /// Unsubscribes a guest.
    pub fn unsubscribe_lane(&self, lane: &Lane) {
        self.0.forget(lane.id());
        let Some(bus) = self.0.bus.upgrade() else { return };
        let mut lanes = bus.lanes.lock();
        if let Some(topics) = lanes.get_mut(&lane.id()) {
            topics.remove(self.name());
            if topics.is_empty() {
                lanes.remove(&lane.id());
            }
        }
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
        let dropped = match self.lane.publish_with(topic, value, self.capacity, newest) {
            Ok(dropped) => dropped,
            // It is kept for readers in this process alone, and the guest is told with the next one.
            Err(CallError::TooLarge { .. }) => 1,
            Err(_) => return 0,
        };
        let untold = self.untold.fetch_add(dropped, Ordering::Relaxed) + dropped;
        if dropped == 0 && untold > 0 && self.lane.report_dropped(topic, untold).is_ok() {
            self.untold.fetch_sub(untold, Ordering::Relaxed);
        }
        dropped
    }
}

/// A place where the values of a topic wait for one reader. Dropping it unsubscribes.
pub struct Subscription(Arc<Subscriber>, #[expect(dead_code, reason = "it keeps the topic")] Topic);

impl Subscription {
    /// The next value; waits for it, at most `timeout`.
    ///
    /// # Errors
    /// [`ReceiveError::TimedOut`]; [`ReceiveError::Closed`] when the bus is gone and nothing is left.
    pub fn recv(&self, timeout: Option<Duration>) -> Result<Payload, ReceiveError> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut queue = self.0.queue.lock();
        loop {
            if let Some(value) = queue.pop() {
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
        match queue.pop() {
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
