//! Everything that connects wait for, behind one descriptor.
//!
//! Owned and driven by the supervisor's loop ([`crate::supervisor::server`]). Invariants: nothing here blocks for longer than the
//! [`alarm`] allows, and a guest that has it block again and again is not served any more; a guest with too many calls waiting is not
//! listened to, and holds up nobody else; a forked child drops all of it without touching the epoll, which it shares.

use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::alarm::{self, Alarm};
use super::gate::{Asking, Connecting, Gate, Outcome};
use super::names::Names;
use crate::manifest::Host;
use crate::sandbox::Listener;
use crate::supervisor::protocol::{Received, receive};

/// So often it is looked whether those who wait still do.
const LOOK: Duration = Duration::from_millis(250);
/// So many calls of one guest wait; the others wait in the kernel.
const MOST: usize = 128;
/// So often within [`PATIENCE`] a guest may hold the supervisor up for as long as the alarm allows.
const STRIKES: u32 = 16;
/// See [`STRIKES`].
const PATIENCE: Duration = Duration::from_secs(10);
/// The source that is the resolver.
const RESOLVER: u64 = 0;

/// What an event is of, by the number that the epoll knows it by.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A guest gives its listener away.
    Handover(u64),
    /// A guest calls.
    Listener(u64),
    /// A connection of a guest comes to its end.
    Socket(u64),
}

/// One guest on its way to its gate, or with it.
#[derive(Debug)]
struct Place {
    handover: Option<OwnedFd>,
    hosts: Vec<Host>,
    gate: Option<Gate>,
    /// The number of its listener in the epoll, or of its handover before.
    source: u64,
    asking: Vec<Asking>,
    connecting: BTreeMap<u64, Connecting>,
    is_listened_to: bool,
    /// How often it has held up the supervisor, and since when that is counted.
    strikes: (u32, Instant),
}

/// What people are to be told of a guest, by its number.
pub(in crate::supervisor) type Refused = (u64, String);

/// The gates of all guests.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Broker {
    epoll: Option<OwnedFd>,
    places: BTreeMap<u64, Place>,
    sources: BTreeMap<u64, Source>,
    last: u64,
    names: Names,
    looked: Option<Instant>,
    refused: Vec<Refused>,
    buffer: Vec<u8>,
}

impl Broker {
    /// Makes room for a guest with this list; what is returned is for its process.
    ///
    /// # Errors
    /// When there is no descriptor for it.
    pub(in crate::supervisor) fn expect(
        &mut self,
        guest: u64,
        hosts: &[Host],
    ) -> Result<OwnedFd, Errno> {
        if self.epoll.is_none() {
            self.epoll = Some(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        }
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let source = self.number(Source::Handover(guest));
        if let Err(error) = self.watch(&ours, source, epoll::EventFlags::IN) {
            self.sources.remove(&source);
            return Err(error);
        }
        self.places.insert(
            guest,
            Place {
                handover: Some(ours),
                hosts: hosts.to_vec(),
                gate: None,
                source,
                asking: Vec::new(),
                connecting: BTreeMap::new(),
                is_listened_to: true,
                strikes: (0, Instant::now()),
            },
        );
        self.names.expect(guest, hosts);
        Ok(theirs)
    }

    /// What tells that there is something to do.
    pub(in crate::supervisor) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd as _;
        self.epoll.as_ref().map(|epoll| epoll.as_fd())
    }

    /// Within what time it has to be looked at, whether or not something happens.
    pub(in crate::supervisor) fn patience(&self) -> Option<Duration> {
        self.waits().then_some(LOOK)
    }

    /// The end of a link for a resolver that is to be started.
    pub(in crate::supervisor) fn wants_resolver(&mut self) -> Option<OwnedFd> {
        let theirs = self.names.wants_resolver()?;
        if let (Some(link), Some(epoll)) = (self.names.link(), &self.epoll) {
            let data = epoll::EventData::new_u64(RESOLVER);
            if epoll::add(epoll, link, data, epoll::EventFlags::IN).is_err() {
                self.names.lose_resolver();
                return None;
            }
        }
        Some(theirs)
    }

    /// The resolver could not be started, or is gone.
    pub(in crate::supervisor) fn lose_resolver(&mut self) {
        if let (Some(link), Some(epoll)) = (self.names.lose_resolver(), &self.epoll) {
            let _ = epoll::delete(epoll, &link);
        }
    }

    /// Handles what came, without waiting. Gives what people are to be told.
    pub(in crate::supervisor) fn turn(&mut self) -> Vec<Refused> {
        let mut events = Vec::with_capacity(64);
        if let Some(epoll) = &self.epoll {
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            // Interrupted or without memory: it is asked again at the next turn.
            let _ = epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), Some(&now));
        }
        let looks = self.waits() && self.looked.is_none_or(|at| at.elapsed() >= LOOK);
        if events.is_empty() && !looks {
            return std::mem::take(&mut self.refused);
        }
        // Without one nothing is done, and everybody waits: it is tried again at the next turn.
        let Ok(_alarm) = Alarm::set() else { return std::mem::take(&mut self.refused) };
        for event in &events {
            let epoll::Event { flags, data } = *event;
            let source = data.u64();
            if source == RESOLVER {
                self.hear();
                continue;
            }
            match self.sources.get(&source).copied() {
                Some(Source::Handover(guest)) => self.open(guest),
                Some(Source::Listener(guest)) if flags.contains(epoll::EventFlags::IN) => {
                    self.bounded(guest, |broker| broker.take(guest));
                }
                // Nobody is left whom the filter holds.
                Some(Source::Listener(guest)) => self.close(guest),
                Some(Source::Socket(guest)) => {
                    self.bounded(guest, |broker| broker.finish(guest, source));
                }
                None => {}
            }
        }
        if looks {
            self.looked = Some(Instant::now());
            self.look();
        }
        std::mem::take(&mut self.refused)
    }

    /// Does something for a guest, and counts whether it had the supervisor wait.
    fn bounded(&mut self, guest: u64, what: impl FnOnce(&mut Self)) {
        let (begun, waits) = (Instant::now(), alarm::waits());
        what(self);
        // Short of a processor it takes as long, and is no fault of the guest.
        if begun.elapsed() < alarm::LIMIT / 2 || alarm::waits() == waits {
            return;
        }
        let Some(place) = self.places.get_mut(&guest) else { return };
        let (strikes, since) = &mut place.strikes;
        if since.elapsed() > PATIENCE {
            (*strikes, *since) = (0, Instant::now());
        }
        *strikes += 1;
        if *strikes >= STRIKES {
            self.refused.push((
                guest,
                "no connect at all any more: it changes its sockets while they are connected, which held up the supervisor"
                    .to_owned(),
            ));
            self.close(guest);
        }
    }

    fn waits(&self) -> bool {
        self.places.values().any(|place| !place.asking.is_empty() || !place.connecting.is_empty())
    }

    fn number(&mut self, source: Source) -> u64 {
        self.last += 1;
        self.sources.insert(self.last, source);
        self.last
    }

    fn watch(&self, what: &OwnedFd, source: u64, flags: epoll::EventFlags) -> Result<(), Errno> {
        let Some(epoll) = &self.epoll else { return Err(Errno::BADF) };
        epoll::add(epoll, what, epoll::EventData::new_u64(source), flags)
    }

    /// A guest's listener came, or the guest is gone.
    fn open(&mut self, guest: u64) {
        self.buffer.resize(64, 0);
        let Some(place) = self.places.get_mut(&guest) else { return };
        let Some(handover) = &place.handover else { return };
        let mut given = match receive::<()>(handover, &mut self.buffer) {
            Ok(Received::Message((), given)) => given,
            Ok(Received::Nothing) => return,
            // It never came so far.
            Ok(Received::Closed) | Err(_) => return self.close(guest),
        };
        let Some(listener) = given.pop() else {
            // Its connects fail: nobody holds the other end.
            self.refused.push((
                guest,
                "no connect at all: the supervisor has no descriptor free for what makes them"
                    .to_owned(),
            ));
            return self.close(guest);
        };
        let listener = Listener::adopt(listener);
        if let (Some(epoll), Some(handover)) = (&self.epoll, place.handover.take()) {
            let _ = epoll::delete(epoll, &handover);
            let data = epoll::EventData::new_u64(place.source);
            if epoll::add(epoll, &listener, data, epoll::EventFlags::IN).is_err() {
                return self.close(guest);
            }
        }
        self.sources.insert(place.source, Source::Listener(guest));
        place.gate = Some(Gate::new(listener, guest, std::mem::take(&mut place.hosts)));
    }

    /// Lets go of a guest and of everything that waits for it.
    fn close(&mut self, guest: u64) {
        let Some(place) = self.places.remove(&guest) else { return };
        self.sources.remove(&place.source);
        let Some(epoll) = &self.epoll else { return };
        if let Some(handover) = &place.handover {
            let _ = epoll::delete(epoll, handover);
        }
        if let Some(gate) = &place.gate {
            let _ = epoll::delete(epoll, &gate.listener);
        }
        for (source, connecting) in &place.connecting {
            self.sources.remove(source);
            // The guest may hold it too, so that its closing here does not end the watch.
            let _ = epoll::delete(epoll, &connecting.socket);
        }
    }

    fn take(&mut self, guest: u64) {
        let Some(place) = self.places.get_mut(&guest) else { return };
        let Some(gate) = &mut place.gate else { return };
        match gate.take(&mut self.names) {
            Ok(outcome) => self.follow(guest, outcome),
            Err(_) => self.close(guest),
        }
    }

    /// What follows from what became of a call.
    fn follow(&mut self, guest: u64, outcome: Outcome) {
        match outcome {
            Outcome::Done => return,
            Outcome::Told(to) => return self.refused.push((guest, to)),
            Outcome::Asks(asking, questions) => {
                self.names.ask_all(guest, questions);
                if let Some(place) = self.places.get_mut(&guest) {
                    place.asking.push(asking);
                }
            }
            Outcome::UnderWay(connecting) => {
                let source = self.number(Source::Socket(guest));
                let watched = self.watch(&connecting.socket, source, epoll::EventFlags::OUT);
                let Some(place) = self.places.get_mut(&guest) else { return };
                if watched.is_err() {
                    self.sources.remove(&source);
                    if let Some(gate) = &place.gate {
                        gate.listener.answer(&connecting.call, Err(Errno::NOBUFS));
                    }
                    return;
                }
                place.connecting.insert(source, connecting);
            }
        }
        self.pace(guest);
    }

    /// Listens to a guest while it has room for calls that wait.
    fn pace(&mut self, guest: u64) {
        let Some(place) = self.places.get_mut(&guest) else { return };
        let room = place.asking.len() + place.connecting.len() < MOST;
        if let (true, Some(gate), Some(epoll)) =
            (room != place.is_listened_to, &place.gate, &self.epoll)
        {
            let flags = if room { epoll::EventFlags::IN } else { epoll::EventFlags::empty() };
            let data = epoll::EventData::new_u64(place.source);
            if epoll::modify(epoll, &gate.listener, data, flags).is_ok() {
                place.is_listened_to = room;
            }
        }
    }

    /// A connection came to its end.
    fn finish(&mut self, guest: u64, source: u64) {
        if let Some(connecting) = self.drop_connecting(guest, source)
            && let Some(gate) = self.places.get_mut(&guest).and_then(|place| place.gate.as_mut())
        {
            let outcome = gate.finish(connecting);
            self.follow(guest, outcome);
        }
        self.pace(guest);
    }

    fn drop_connecting(&mut self, guest: u64, source: u64) -> Option<Connecting> {
        self.sources.remove(&source);
        let connecting = self.places.get_mut(&guest)?.connecting.remove(&source)?;
        if let Some(epoll) = &self.epoll {
            let _ = epoll::delete(epoll, &connecting.socket);
        }
        Some(connecting)
    }

    /// Lets go of what is not waited for any more.
    fn forget(&mut self, guest: u64) {
        let Some(place) = self.places.get_mut(&guest) else { return };
        let Some(gate) = &place.gate else { return };
        place.asking.retain(|asking| gate.listener.is_waiting(&asking.call));
        let gone = place.connecting.iter();
        let gone = gone.filter(|(_, connecting)| !gate.listener.is_waiting(&connecting.call));
        let gone: Vec<u64> = gone.map(|(source, _)| *source).collect();
        for source in gone {
            self.drop_connecting(guest, source);
        }
    }

    /// Looks at everything that waits.
    fn look(&mut self) {
        for guest in self.places.keys().copied().collect::<Vec<_>>() {
            self.forget(guest);
            self.look_at_limits(guest);
            self.bounded(guest, |broker| broker.decide(guest));
            self.pace(guest);
        }
    }

    fn look_at_limits(&mut self, guest: u64) {
        let Some(place) = self.places.get(&guest) else { return };
        let now = Instant::now();
        let over = place.connecting.iter();
        let over = over.filter(|(_, one)| one.until.is_some_and(|until| until <= now));
        for source in over.map(|(source, _)| *source).collect::<Vec<_>>() {
            let connecting = self.drop_connecting(guest, source);
            let gate = self.places.get(&guest).and_then(|place| place.gate.as_ref());
            if let (Some(connecting), Some(gate)) = (connecting, gate) {
                gate.listener.answer(&connecting.call, Err(Errno::INPROGRESS));
            }
        }
    }

    /// Answers of the resolver came.
    fn hear(&mut self) {
        if !self.names.hear(&mut self.buffer) {
            self.lose_resolver();
        }
        for guest in self.places.keys().copied().collect::<Vec<_>>() {
            self.bounded(guest, |broker| broker.decide(guest));
            self.pace(guest);
        }
    }

    /// Decides once more what waited for answers.
    fn decide(&mut self, guest: u64) {
        let Some(place) = self.places.get_mut(&guest) else { return };
        for asking in std::mem::take(&mut place.asking) {
            let Some(place) = self.places.get_mut(&guest) else { return };
            let Some(gate) = &mut place.gate else { return };
            let outcome = match gate.decide(asking, &mut self.names) {
                Outcome::Asks(asking, _) if asking.is_over() => gate.give_up(&asking),
                outcome => outcome,
            };
            self.follow(guest, outcome);
        }
    }
}
