//! What the tests of this crate share: pairs of lanes, a raw peer that may lie, and a watchdog.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use ipc::{
    Closed, Frame, Header, Hello, Inbound, InboundRequest, Kind, Lane, LaneOptions, Payload,
    Reader, Refused, Value, Welcome,
};

/// Runs a test's body and fails the test when it does not end in time.
pub fn watched(body: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        body();
        let _ = done.send(());
    });
    match ended.recv_timeout(Duration::from_secs(60)) {
        Ok(()) => thread.join().unwrap(),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the test hangs"),
    }
}

/// What a host's owner heard.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    Hello(String),
    Ready,
    Publish(String, Value),
    Failed(String),
    Cancelled(u64),
    Stopped,
    Closed(Closed),
}

type Answer = Box<dyn Fn(&Lane, InboundRequest) + Send + Sync>;

/// An owner that tells a channel what it hears.
pub struct Owner {
    heard: Mutex<mpsc::Sender<Heard>>,
    queue: u32,
    refuse: bool,
    answer: Option<Answer>,
}

impl Inbound for Owner {
    fn hello(&self, hello: Hello) -> Result<Welcome, Refused> {
        let _ = self.heard.lock().unwrap().send(Heard::Hello(hello.name));
        if self.refuse {
            let (code, reason) = ("not-granted".to_owned(), "not today".to_owned());
            return Err(Refused { code, reason });
        }
        Ok(Welcome::new(self.queue))
    }

    fn ready(&self) {
        let _ = self.heard.lock().unwrap().send(Heard::Ready);
    }

    fn request(&self, lane: &Lane, request: InboundRequest) {
        if let Some(answer) = &self.answer {
            answer(lane, request);
        } else {
            let _ = lane.reply(request.correlation, Ok(request.inputs));
        }
    }

    fn publish(&self, topic: &str, value: Payload) {
        let value = value.value().unwrap();
        let _ = self.heard.lock().unwrap().send(Heard::Publish(topic.to_owned(), value));
    }

    fn failed(&self, failure: ipc::RemoteFailure) {
        let _ = self.heard.lock().unwrap().send(Heard::Failed(failure.message));
    }

    fn cancelled(&self, _: &Lane, correlation: u64) {
        let _ = self.heard.lock().unwrap().send(Heard::Cancelled(correlation));
    }

    fn stopped(&self) {
        let _ = self.heard.lock().unwrap().send(Heard::Stopped);
    }

    fn closed(&self, reason: Closed) {
        let _ = self.heard.lock().unwrap().send(Heard::Closed(reason));
    }
}

/// A host's end whose other end is still bare.
pub struct Host {
    pub reader: Reader,
    pub lane: Lane,
    pub heard: mpsc::Receiver<Heard>,
    pub peer: UnixStream,
}

pub struct HostOptions {
    pub queue: u32,
    pub refuse: bool,
    pub answer: Option<Answer>,
    pub out_limit: usize,
    pub in_limit: usize,
}

impl Default for HostOptions {
    fn default() -> Self {
        Self { queue: 256, refuse: false, answer: None, out_limit: 64 << 20, in_limit: 64 << 20 }
    }
}

pub fn host_with(options: HostOptions) -> Host {
    let reader = Reader::new().unwrap();
    let (ours, peer) = UnixStream::pair().unwrap();
    let (sender, heard) = mpsc::channel();
    let owner = Owner {
        heard: Mutex::new(sender),
        queue: options.queue,
        refuse: options.refuse,
        answer: options.answer,
    };
    let lane_options = LaneOptions {
        out_limit: options.out_limit,
        in_limit: options.in_limit,
        ..LaneOptions::host("peer", options.queue, &reader)
    };
    let lane = Lane::open(OwnedFd::from(ours), lane_options, Arc::new(owner)).unwrap();
    Host { reader, lane, heard, peer }
}

pub fn host() -> Host {
    host_with(HostOptions::default())
}

impl Host {
    pub fn hear(&self) -> Heard {
        self.heard.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    /// The reason for which the lane closed; what was heard before is skipped.
    pub fn hear_closed(&self) -> Closed {
        loop {
            if let Heard::Closed(reason) = self.hear() {
                return reason;
            }
        }
    }

    /// Waits for the guest's `Ready`.
    pub fn wait_ready(&self) {
        while self.hear() != Heard::Ready {}
    }
}

/// Opens the guest's end over the bare peer and does the handshake.
pub fn guest(peer: UnixStream, reader: &Reader) -> Lane {
    let lane = Lane::open(OwnedFd::from(peer), LaneOptions::guest(reader), Arc::new(())).unwrap();
    lane.hello(&Hello::new("guest"), Duration::from_secs(10)).unwrap();
    lane.ready().unwrap();
    lane
}

/// A guest that echoes on a thread of its own until its lane closes.
pub fn echo(peer: UnixStream) -> std::thread::JoinHandle<u64> {
    let reader = Reader::new().unwrap();
    std::thread::spawn(move || {
        let lane = guest(peer, &reader);
        let mut served = 0;
        while let Ok(Some(request)) = lane.next_request(None, None) {
            served += 1;
            let _ = lane.reply(request.correlation, Ok(request.inputs));
        }
        served
    })
}

/// A host and an echoing guest, ready.
pub fn echoing(queue: u32) -> Host {
    let mut host = host_with(HostOptions { queue, ..HostOptions::default() });
    let (spare, _) = UnixStream::pair().unwrap();
    echo(std::mem::replace(&mut host.peer, spare));
    host.wait_ready();
    host
}

pub fn inputs(number: i64) -> Payload {
    Payload::from_value(&Value::from([("n", number)])).unwrap()
}

// The raw peer: it writes whatever it likes.

pub fn write_frame(peer: &mut UnixStream, header: Header, body: &[u8]) {
    let header = Header { length: u32::try_from(body.len()).unwrap(), ..header };
    peer.write_all(&header.encode()).unwrap();
    peer.write_all(body).unwrap();
}

pub fn read_frame(peer: &mut UnixStream) -> Option<Frame> {
    let mut head = [0; 32];
    peer.read_exact(&mut head).ok()?;
    let header = Header::decode(&head, u32::MAX).unwrap();
    let mut body = vec![0; header.length as usize];
    peer.read_exact(&mut body).ok()?;
    Some(Frame { header, payload: body.into() })
}

/// Does the handshake by hand.
pub fn greet(host: &mut Host) {
    let body = Payload::serialize(&Hello::new("raw")).unwrap();
    write_frame(&mut host.peer, Header::new(Kind::Hello, 0), body.bytes());
    assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Welcome);
    write_frame(&mut host.peer, Header::new(Kind::Ready, 0), &[]);
    host.wait_ready();
}
