//! Which addresses a list of hosts stands for, as far as it is known here.
//!
//! Owned by [`super::broker`]; answers come from the [`super::resolver`]. Invariants: an address counts for a name only because
//! this system's own resolver said so, and never because a guest did; whatever is kept is bounded, and so is what is looked up for one
//! guest at once, so that it holds up no other's lookups.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, socketpair};
use serde::{Deserialize, Serialize};

use crate::manifest::{Host, HostName};
use crate::supervisor::protocol::{LONGEST, Received, encode, receive, send};

/// An address counts so long after it was last in an answer: a guest may keep its own answer for a while.
const HELD: Duration = Duration::from_secs(600);
/// After so long a name whose address is used is asked for again, which nobody waits for.
const REFRESH: Duration = Duration::from_secs(60);
/// What was answered so lately is not asked for again: whoever needs a later answer waits until it may be.
const FRESH: Duration = Duration::from_secs(1);
/// After a lookup that failed the same is not asked for again sooner.
const RETRY: Duration = Duration::from_millis(200);
/// A resolver that died is not started again sooner.
const PAUSE: Duration = Duration::from_secs(1);
/// So many lookups of one guest are under way at once: those that nobody answers hold up its own.
const UNDER_WAY: usize = 8;
/// Addresses that are kept of one name, and addresses whose names are kept.
const MOST: usize = 512;
/// Where the addresses of resolvers are written, and the port at which they answer.
const RESOLVERS: &str = "/etc/resolv.conf";
const DOMAIN: u16 = 53;

/// What a resolver is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Question {
    /// The addresses of a name.
    Addresses(String),
    /// The names of an address, each of which has this address in turn.
    Names(IpAddr),
}

/// And what became of that.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) question: Question,
    pub(super) said: Said,
}

/// What a resolver says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Said {
    /// These, or that there is none.
    Addresses(Vec<IpAddr>),
    /// These, or that there is none.
    Names(Vec<String>),
    /// Nothing: nobody answered in time, or could. What was known still is.
    Failed,
}

/// Whether a connect may be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    Refused,
    /// That is known when these are answered.
    Unknown(Vec<Question>),
}

#[derive(Debug, Default)]
struct Known {
    addresses: BTreeMap<IpAddr, Instant>,
    names: Vec<String>,
    answered: Option<Instant>,
    /// When it was asked for last.
    tried: Option<Instant>,
    /// For whom it is being looked up.
    asker: Option<u64>,
    /// It is not asked for before.
    held_back: Option<Instant>,
}

/// What is known of names, and the process that is asked.
#[derive(Debug, Default)]
pub(super) struct Names {
    link: Option<OwnedFd>,
    started: Option<Instant>,
    /// What is asked of the next resolver, and for whom.
    wanted: BTreeMap<Question, u64>,
    known: BTreeMap<Question, Known>,
    /// How many lookups of each guest are under way.
    under_way: BTreeMap<u64, usize>,
}

impl Names {
    /// Whether this list of a guest allows a connect there. `since`: when it was asked for; what was answered later is fresh.
    pub(super) fn decide(
        &mut self,
        guest: u64,
        hosts: &[Host],
        to: SocketAddr,
        since: Instant,
    ) -> Verdict {
        let address = to.ip().to_canonical();
        let now = Instant::now();
        let at_port = || hosts.iter().filter(|host| host.port == to.port());
        if at_port().any(|host| host.name == HostName::Address(address)) {
            return Verdict::Allowed;
        }
        if to.port() == DOMAIN && has_names(hosts) && resolvers().contains(&address) {
            return Verdict::Allowed;
        }
        let mut open = Vec::new();
        for host in at_port() {
            let question = match &host.name {
                HostName::Address(_) => continue,
                HostName::Named(name) => Question::Addresses(name.clone()),
                HostName::Below(_) => Question::Names(address),
            };
            let known = self.known.get(&question);
            let age = known.and_then(|known| known.answered).map(|at| now.duration_since(at));
            let counts = known.is_some_and(|known| match &host.name {
                HostName::Below(_) => {
                    age.is_some_and(|age| age < HELD)
                        && known.names.iter().any(|name| host.is_named(name))
                }
                _ => known.addresses.get(&address).is_some_and(|seen| now - *seen < HELD),
            });
            if counts {
                if age.is_none_or(|age| age > REFRESH) {
                    self.ask(guest, &question);
                }
                return Verdict::Allowed;
            }
            let answered = known.and_then(|known| known.answered);
            if answered.is_none_or(|at| at < since) {
                open.push(question);
            }
        }
        if open.is_empty() { Verdict::Refused } else { Verdict::Unknown(open) }
    }

    /// Asks for the names of a list, before anybody needs them.
    pub(super) fn expect(&mut self, guest: u64, hosts: &[Host]) {
        for host in hosts {
            if let HostName::Named(name) = &host.name {
                self.ask(guest, &Question::Addresses(name.clone()));
            }
        }
    }

    /// Asks for as many of these as may be under way, those first that were not asked for the longest.
    pub(super) fn ask_all(&mut self, guest: u64, mut questions: Vec<Question>) {
        questions.sort_by_key(|question| self.known.get(question).and_then(|known| known.tried));
        for question in &questions {
            self.ask(guest, question);
        }
    }

    /// Asks, unless that was done and is not answered yet, or too much is under way. Without a resolver one is wanted.
    fn ask(&mut self, guest: u64, question: &Question) {
        let Some(link) = &self.link else {
            if self.wanted.len() < MOST {
                self.wanted.entry(question.clone()).or_insert(guest);
            }
            return;
        };
        let now = Instant::now();
        let is_held_back = |known: &Known| {
            known.asker.is_some() || known.held_back.is_some_and(|until| now < until)
        };
        let under_way = self.under_way.get(&guest).copied().unwrap_or_default();
        if under_way >= UNDER_WAY || self.known.get(question).is_some_and(is_held_back) {
            return;
        }
        let sent = encode(question)
            .is_ok_and(|bytes| send(link, &bytes, &[], SendFlags::DONTWAIT).is_ok());
        // Where it has no room it is asked at the next look.
        if !sent {
            return;
        }
        if matches!(question, Question::Names(_)) && !self.known.contains_key(question) {
            self.make_room();
        }
        let known = self.known.entry(question.clone()).or_default();
        (known.asker, known.tried) = (Some(guest), Some(now));
        self.under_way.insert(guest, under_way + 1);
    }

    /// Forgets the address that was asked for longest ago, where there are many.
    fn make_room(&mut self) {
        let addresses = |question: &&Question| matches!(question, Question::Names(_));
        if self.known.keys().filter(addresses).count() < MOST {
            return;
        }
        let names = self.known.iter().filter(|(question, _)| addresses(question));
        let names = names.filter(|(_, known)| known.asker.is_none());
        let oldest =
            names.min_by_key(|(_, known)| known.answered).map(|(question, _)| question.clone());
        if let Some(oldest) = oldest {
            self.known.remove(&oldest);
        }
    }

    /// The other end of a new resolver's link, where one is wanted and has not died a moment ago.
    pub(super) fn wants_resolver(&mut self) -> Option<OwnedFd> {
        let due = self.started.is_none_or(|started| started.elapsed() > PAUSE);
        if self.wanted.is_empty() || !due || self.link.is_some() {
            return None;
        }
        let flags = SocketFlags::CLOEXEC;
        // What cannot be had now is tried again.
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).ok()?;
        self.started = Some(Instant::now());
        self.link = Some(ours);
        for (question, guest) in std::mem::take(&mut self.wanted) {
            self.ask(guest, &question);
        }
        Some(theirs)
    }

    pub(super) const fn link(&self) -> Option<&OwnedFd> {
        self.link.as_ref()
    }

    /// It could not be started, or is gone: what it was asked is asked again of the next.
    pub(super) fn lose_resolver(&mut self) -> Option<OwnedFd> {
        for (question, known) in &mut self.known {
            let asker = known.asker.take();
            self.wanted.extend(asker.map(|guest| (question.clone(), guest)));
        }
        self.under_way.clear();
        self.link.take()
    }

    /// Takes every answer that is there. False: the resolver is gone.
    pub(super) fn hear(&mut self, buffer: &mut Vec<u8>) -> bool {
        buffer.resize(LONGEST, 0);
        while let Some(link) = &self.link {
            match receive::<Answer>(link.as_fd(), buffer) {
                Ok(Received::Message(answer, _)) => self.learn(answer, Instant::now()),
                Ok(Received::Nothing) => return true,
                Ok(Received::Closed) | Err(_) => return false,
            }
        }
        true
    }

    fn learn(&mut self, answer: Answer, now: Instant) {
        let Some(known) = self.known.get_mut(&answer.question) else { return };
        if let Some(guest) = known.asker.take()
            && let Entry::Occupied(mut under_way) = self.under_way.entry(guest)
        {
            *under_way.get_mut() -= 1;
            if *under_way.get() == 0 {
                under_way.remove();
            }
        }
        let addresses = match answer.said {
            Said::Failed => {
                known.held_back = Some(now + RETRY);
                return;
            }
            Said::Names(names) => {
                known.names = names;
                Vec::new()
            }
            Said::Addresses(addresses) => addresses,
        };
        known.answered = Some(now);
        known.held_back = Some(now + FRESH);
        known.addresses.retain(|_, seen| now - *seen < HELD);
        for address in addresses {
            if known.addresses.len() == MOST {
                let oldest = known.addresses.iter().min_by_key(|(_, seen)| **seen);
                if let Some(oldest) = oldest.map(|(address, _)| *address) {
                    known.addresses.remove(&oldest);
                }
            }
            known.addresses.insert(address.to_canonical(), now);
        }
    }
}

/// Whether a list names hosts for which a resolver is asked.
fn has_names(hosts: &[Host]) -> bool {
    hosts.iter().any(|host| !matches!(host.name, HostName::Address(_)))
}

/// The resolvers of this machine, as they are now.
fn resolvers() -> Vec<IpAddr> {
    resolvers_in(&std::fs::read_to_string(RESOLVERS).unwrap_or_default())
}

fn resolvers_in(text: &str) -> Vec<IpAddr> {
    let found: Vec<IpAddr> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
            // An address of a link may name it behind a `%`.
            address.split('%').next()?.parse().ok()
        })
        .collect();
    // As the C library has it.
    if found.is_empty() { vec![Ipv4Addr::LOCALHOST.into()] } else { found }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::os::fd::OwnedFd;
    use std::time::Instant;

    use super::{Answer, HELD, Names, Question, Said, Verdict, resolvers_in};
    use crate::manifest::{Host, HostName};
    use crate::supervisor::protocol::{LONGEST, Received, receive};

    const GUEST: u64 = 1;

    fn listed(name: HostName, port: u16) -> Vec<Host> {
        vec![Host { name, port }]
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn answer(
        names: &mut Names,
        question: &Question,
        found: &[&str],
        called: &[&str],
        at: Instant,
    ) {
        names.ask(GUEST, question);
        names.known.entry(question.clone()).or_default();
        let said = match question {
            Question::Addresses(_) => {
                Said::Addresses(found.iter().map(|text| address(text)).collect())
            }
            Question::Names(_) => {
                Said::Names(called.iter().map(|text| (*text).to_owned()).collect())
            }
        };
        names.learn(Answer { question: question.clone(), said }, at);
    }

    fn fail(names: &mut Names, question: &Question) {
        names.ask(GUEST, question);
        names.known.entry(question.clone()).or_default();
        names.learn(Answer { question: question.clone(), said: Said::Failed }, Instant::now());
    }

    #[test]
    fn an_address_is_allowed_at_its_port_however_it_is_written() {
        let mut names = Names::default();
        let hosts = listed(HostName::Address(address("127.0.0.1")), 80);
        let now = Instant::now();
        for (to, verdict) in [
            ("127.0.0.1:80", Verdict::Allowed),
            ("[::ffff:127.0.0.1]:80", Verdict::Allowed),
            ("127.0.0.1:81", Verdict::Refused),
            ("127.0.0.2:80", Verdict::Refused),
            ("[::1]:80", Verdict::Refused),
            ("0.0.0.0:80", Verdict::Refused),
        ] {
            assert_eq!(names.decide(GUEST, &hosts, to.parse().unwrap(), now), verdict, "{to}");
        }
        // Nothing has to be looked up, so there is no way to a resolver.
        let resolver = format!("{}:53", resolvers_in("")[0]).parse().unwrap();
        assert_eq!(names.decide(GUEST, &hosts, resolver, now), Verdict::Refused);
    }

    #[test]
    fn a_name_stands_for_what_was_answered_and_for_nothing_else() {
        let mut names = Names::default();
        let hosts = listed(HostName::Named("a.example".to_owned()), 443);
        let question = Question::Addresses("a.example".to_owned());
        let begun = Instant::now();
        let to = "192.0.2.1:443".parse().unwrap();
        assert_eq!(
            names.decide(GUEST, &hosts, to, begun),
            Verdict::Unknown(vec![question.clone()])
        );
        answer(&mut names, &question, &["192.0.2.1", "::ffff:192.0.2.9"], &[], Instant::now());
        assert_eq!(names.decide(GUEST, &hosts, to, begun), Verdict::Allowed);
        assert_eq!(
            names.decide(GUEST, &hosts, "192.0.2.9:443".parse().unwrap(), begun),
            Verdict::Allowed
        );
        assert_eq!(
            names.decide(GUEST, &hosts, "192.0.2.2:443".parse().unwrap(), begun),
            Verdict::Refused
        );
        assert_eq!(
            names.decide(GUEST, &hosts, "192.0.2.1:80".parse().unwrap(), begun),
            Verdict::Refused
        );
    }

    #[test]
    fn an_address_counts_for_a_while_after_its_last_answer_and_no_longer() {
        let hosts = listed(HostName::Named("a.example".to_owned()), 443);
        let question = Question::Addresses("a.example".to_owned());
        let to = "192.0.2.1:443".parse().unwrap();
        let Some(long_ago) = Instant::now().checked_sub(HELD) else { return };
        let mut names = Names::default();
        answer(&mut names, &question, &["192.0.2.1"], &[], long_ago);
        assert!(matches!(names.decide(GUEST, &hosts, to, Instant::now()), Verdict::Unknown(_)));
        let begun = Instant::now();
        answer(&mut names, &question, &["192.0.2.2"], &[], Instant::now());
        assert_eq!(names.decide(GUEST, &hosts, to, begun), Verdict::Refused);
    }

    #[test]
    fn only_what_was_answered_since_it_was_asked_for_refuses_a_connect() {
        let hosts = listed(HostName::Named("a.example".to_owned()), 443);
        let question = Question::Addresses("a.example".to_owned());
        let mut names = Names::default();
        answer(&mut names, &question, &["192.0.2.1"], &[], Instant::now());
        names.wanted.clear();
        // It may have moved in this moment.
        let begun = Instant::now();
        let open = Verdict::Unknown(vec![question.clone()]);
        let to = "192.0.2.2:443".parse().unwrap();
        assert_eq!(names.decide(GUEST, &hosts, to, begun), open);
        // But nobody is asked more often than that.
        names.ask(GUEST, &Question::Addresses("b.example".to_owned()));
        let resolver = names.wants_resolver().unwrap();
        heard(&resolver);
        names.ask_all(GUEST, vec![question.clone()]);
        assert_eq!(heard(&resolver), []);
        names.known.get_mut(&question).unwrap().held_back = Some(begun);
        names.ask_all(GUEST, vec![question.clone()]);
        assert_eq!(heard(&resolver), [question]);
    }

    #[test]
    fn below_a_name_is_what_the_confirmed_name_of_an_address_says() {
        let hosts = listed(HostName::Below("internal".to_owned()), 8080);
        let question = Question::Names(address("192.0.2.1"));
        let to = "192.0.2.1:8080".parse().unwrap();
        let mut names = Names::default();
        let begun = Instant::now();
        assert_eq!(
            names.decide(GUEST, &hosts, to, begun),
            Verdict::Unknown(vec![question.clone()])
        );
        answer(&mut names, &question, &[], &["db.internal.evil"], Instant::now());
        assert_eq!(names.decide(GUEST, &hosts, to, begun), Verdict::Refused);
        answer(&mut names, &question, &[], &["db.internal"], Instant::now());
        assert_eq!(names.decide(GUEST, &hosts, to, begun), Verdict::Allowed);
    }

    #[test]
    fn a_lookup_that_failed_says_nothing_and_takes_nothing_away() {
        for (name, question) in [
            (HostName::Below("internal".to_owned()), Question::Names(address("192.0.2.1"))),
            (
                HostName::Named("db.internal".to_owned()),
                Question::Addresses("db.internal".to_owned()),
            ),
        ] {
            let hosts = listed(name, 8080);
            let to = "192.0.2.1:8080".parse().unwrap();
            let mut names = Names::default();
            let begun = Instant::now();
            fail(&mut names, &question);
            let unknown = Verdict::Unknown(vec![question.clone()]);
            assert_eq!(names.decide(GUEST, &hosts, to, begun), unknown);
            answer(&mut names, &question, &["192.0.2.1"], &["db.internal"], Instant::now());
            fail(&mut names, &question);
            assert_eq!(names.decide(GUEST, &hosts, to, Instant::now()), Verdict::Allowed);
        }
    }

    #[test]
    fn what_is_kept_of_addresses_is_bounded() {
        let hosts = listed(HostName::Below("internal".to_owned()), 8080);
        let mut names = Names::default();
        for number in 0..2000_u32 {
            let to = std::net::SocketAddr::from((number.to_be_bytes(), 8080));
            if let Verdict::Unknown(open) = names.decide(GUEST, &hosts, to, Instant::now()) {
                names.ask_all(GUEST, open);
            }
        }
        assert_eq!(names.wanted.len(), super::MOST);
        let resolver = names.wants_resolver().unwrap();
        for number in 0..2000_u32 {
            let question = Question::Names(number.to_be_bytes().into());
            names.ask(GUEST, &question);
            heard(&resolver);
            names.learn(Answer { question, said: Said::Names(Vec::new()) }, Instant::now());
        }
        assert!(names.known.len() <= super::MOST + super::UNDER_WAY);
    }

    /// What arrives at a resolver.
    fn heard(resolver: &OwnedFd) -> Vec<Question> {
        let mut buffer = vec![0; LONGEST];
        let mut heard = Vec::new();
        while let Ok(Received::Message(question, _)) = receive(resolver, &mut buffer) {
            heard.push(question);
        }
        heard
    }

    #[test]
    fn the_lookups_of_one_guest_hold_up_its_own_and_nobody_elses() {
        let called = |number: u32| Question::Addresses(format!("{number:02}.example"));
        let mut names = Names::default();
        names.ask_all(GUEST, (0..20).map(called).collect());
        let resolver = names.wants_resolver().unwrap();
        assert_eq!(heard(&resolver), (0..8).map(called).collect::<Vec<_>>());
        names.ask_all(GUEST, (0..20).map(called).collect());
        assert_eq!(heard(&resolver), []);
        names.ask_all(GUEST + 1, vec![called(30)]);
        assert_eq!(heard(&resolver), [called(30)]);
        // What nobody answered comes last, when it is asked for again.
        for number in [3, 5] {
            let question = called(number);
            names.learn(Answer { question, said: Said::Failed }, Instant::now());
        }
        names.ask_all(GUEST, (0..20).map(called).collect());
        assert_eq!(heard(&resolver), [called(8), called(9)]);
        // And a resolver that takes the place of another is asked for the same.
        names.lose_resolver();
        names.started = None;
        let resolver = names.wants_resolver().unwrap();
        let mut again = heard(&resolver);
        again.sort();
        let same = [0, 1, 2, 4, 6, 7, 8, 9, 30];
        assert_eq!(again, same.map(called));
    }

    #[test]
    fn resolvers_are_read_as_the_c_library_does() {
        let text =
            "# nameserver 192.0.2.9\nnameserver 192.0.2.1\n nameserver fe80::1%eth0 \nsearch x\n";
        assert_eq!(resolvers_in(text), [address("192.0.2.1"), address("fe80::1")]);
        assert_eq!(resolvers_in("search x\n"), [address("127.0.0.1")]);
    }
}
