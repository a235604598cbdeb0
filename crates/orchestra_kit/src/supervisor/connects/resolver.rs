//! The process that looks names up, so that no lookup holds up the supervisor.
//!
//! Forked from the supervisor where a manifest lists hosts by name; unlike the supervisor it has threads, one for each lookup, so that
//! none waits for another. Invariant: it says what the system's resolver says, and ends with its link.

use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use dns_lookup::{LookupError, LookupErrorKind, lookup_addr, lookup_host};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::SendFlags;
use rustix::thread::set_name;

use super::names::{Answer, Question, Said};
use crate::error::SupervisorError;
use crate::supervisor::protocol::{LONGEST, Received, encode, receive, send};

/// So many lookups run at once; what finds no room is asked for again. [`super::names`] asks for few of one guest at once.
const LOOKUPS: usize = 256;
/// More addresses of one name are not told.
const ADDRESSES: usize = 256;

/// Answers what is asked over `link` until its other end is closed.
///
/// # Errors
/// When the link breaks.
pub fn serve(link: OwnedFd) -> Result<(), SupervisorError> {
    // So it is told apart from guests; without a name it is as good.
    let _ = set_name(c"symphony-names");
    let link = Arc::new(link);
    let mut buffer = vec![0; LONGEST];
    loop {
        match poll(&mut [PollFd::new(&link, PollFlags::IN)], None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(source) => return Err(SupervisorError::Link { doing: "wait", source }),
        }
        match receive::<Question>(&link, &mut buffer)? {
            Received::Message(question, _) => {
                if !begin(&link, question.clone()) {
                    tell(&link, &Answer { question, said: Said::Failed });
                }
            }
            Received::Nothing => {}
            Received::Closed => return Ok(()),
        }
    }
}

/// Begins a lookup; false where there is no room for it. Each holds the link, which counts them.
fn begin(link: &Arc<OwnedFd>, question: Question) -> bool {
    if Arc::strong_count(link) > LOOKUPS {
        return false;
    }
    let link = Arc::clone(link);
    let name = format!("symphony-name-{}", Arc::strong_count(&link) - 1);
    let thread = std::thread::Builder::new().name(name);
    thread.spawn(move || tell(&link, &look_up(question))).is_ok()
}

fn tell(link: &OwnedFd, answer: &Answer) {
    // Where the other end is gone this process ends. What is too long to be sent is never asked for.
    let _ = encode(answer).map(|bytes| send(link, &bytes, &[], SendFlags::empty()));
}

fn look_up(question: Question) -> Answer {
    let said = match &question {
        Question::Addresses(name) => addresses(name).map(Said::Addresses),
        Question::Names(address) => names(*address).map(Said::Names),
    };
    let said = said.unwrap_or(Said::Failed);
    Answer { question, said }
}

/// Nobody could say.
struct Failed;

/// What a lookup found; nothing where there is nothing to be found, or no text.
fn found<T>(looked_up: Result<T, LookupError>) -> Result<Option<T>, Failed> {
    match looked_up {
        Ok(found) => Ok(Some(found)),
        Err(error) => match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData | LookupErrorKind::IO => Ok(None),
            _ => Err(Failed),
        },
    }
}

/// What a name stands for.
fn addresses(name: &str) -> Result<Vec<IpAddr>, Failed> {
    let all = found(lookup_host(name))?.into_iter().flatten();
    let mut some: Vec<_> = all.take(ADDRESSES).collect();
    some.sort();
    some.dedup();
    Ok(some)
}

/// The name of an address, where that name has the address in turn: whoever owns an address says what it is called, and only
/// whoever owns the name can confirm that.
fn names(address: IpAddr) -> Result<Vec<String>, Failed> {
    let Some(name) = found(lookup_addr(&address))? else { return Ok(Vec::new()) };
    let confirmed = addresses(&name)?.iter().any(|found| found.to_canonical() == address);
    Ok(if confirmed { vec![name.trim_end_matches('.').to_owned()] } else { Vec::new() })
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use rustix::event::{PollFd, PollFlags, poll};
    use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, socketpair};

    use super::{Answer, Question, Said, serve};
    use crate::supervisor::protocol::{LONGEST, Received, encode, receive, send};

    fn ask(link: &OwnedFd, question: &Question) -> Said {
        send(link, &encode(question).unwrap(), &[], SendFlags::empty()).unwrap();
        poll(&mut [PollFd::new(link, PollFlags::IN)], None).unwrap();
        match receive(link, &mut vec![0; LONGEST]).unwrap() {
            Received::Message(Answer { said, .. }, _) => said,
            _ => panic!("no answer"),
        }
    }

    #[test]
    fn it_says_what_this_machine_says_and_ends_with_its_link() {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let serving = std::thread::spawn(move || serve(theirs));
        let Said::Addresses(here) = ask(&ours, &Question::Addresses("localhost".to_owned())) else {
            panic!("no addresses")
        };
        assert!(here.contains(&"127.0.0.1".parse().unwrap()), "{here:?}");
        // No name at all, so no resolver is asked, and that is an answer.
        let nobody = ask(&ours, &Question::Addresses(String::new()));
        assert_eq!(nobody, Said::Addresses(Vec::new()));
        let Said::Names(called) = ask(&ours, &Question::Names("127.0.0.1".parse().unwrap())) else {
            panic!("no names")
        };
        assert_eq!(called.len(), 1, "{called:?}");
        drop(ours);
        serving.join().unwrap().unwrap();
    }
}
