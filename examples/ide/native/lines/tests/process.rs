//! The extension as Symphony runs it: a process of its own, called over its lane.

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use ipc::{
    CallError, CallOptions, Closed, Hello, Inbound, InboundRequest, LANE_VARIABLE, Lane,
    LaneOptions, Payload, Reader, Refused, Value, Welcome,
};

/// Welcomes the guest and says when it is ready.
struct Owner(mpsc::SyncSender<Option<Hello>>);

impl Inbound for Owner {
    fn hello(&self, hello: Hello) -> Result<Welcome, Refused> {
        self.0.send(Some(hello)).expect("the test waits");
        Ok(Welcome::new(64))
    }

    fn ready(&self) {
        self.0.send(None).expect("the test waits");
    }

    fn request(&self, _lane: &Lane, request: InboundRequest) {
        panic!("`lines` calls nothing, but called `{}`", request.operation);
    }

    fn publish(&self, topic: &str, _value: Payload) {
        panic!("`lines` publishes nothing, but published to `{topic}`");
    }

    fn closed(&self, _reason: Closed) {}
}

#[test]
fn it_counts_and_refuses_and_stops() {
    let patience = Duration::from_secs(20);
    let reader = Reader::new().expect("a reader starts");
    let (sender, heard) = mpsc::sync_channel(8);
    let (ours, theirs) = UnixStream::pair().expect("a socket pair");
    let theirs = OwnedFd::from(theirs);
    rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty()).expect("it is inherited");
    let mut child = Command::new(env!("CARGO_BIN_EXE_lines"))
        .env(LANE_VARIABLE, theirs.as_raw_fd().to_string())
        .spawn()
        .expect("it starts");
    drop(theirs);
    let options = LaneOptions::host("lines", 64, &reader);
    let lane = Lane::open(ours.into(), options, Arc::new(Owner(sender))).expect("a lane opens");

    let hello = heard.recv_timeout(patience).expect("hello").expect("hello comes first");
    assert_eq!((hello.name.as_str(), hello.operations[0].name.as_str()), ("lines", "count"));
    assert_eq!(hello.operations[0].inputs[0].name, "source");
    assert!(heard.recv_timeout(patience).expect("ready").is_none());

    let call = |inputs: &[(&str, &str)]| {
        let inputs = inputs.iter().map(|(key, text)| ((*key).to_owned(), Value::from(*text)));
        let inputs = Payload::from_value(&Value::Map(inputs.collect())).expect("it is shallow");
        lane.request("count", &inputs, &CallOptions::within(patience))
    };
    let counted = call(&[("source", "# why\nx = 1\n\n'''a\nb'''\n")]).expect("it answers");
    let counted = counted.value().expect("it is a value");
    let number = |key: &str| counted.get(key).and_then(Value::as_int);
    assert_eq!(number("total"), Some(5));
    assert_eq!((number("code"), number("text")), (Some(1), Some(2)));
    assert_eq!((number("comment"), number("blank")), (Some(1), Some(1)));

    match call(&[("text", "x")]) {
        Err(CallError::Remote(failure)) => assert!(failure.message.contains("`source`")),
        other => panic!("another outcome: {other:?}"),
    }

    lane.stop().expect("the lane is open");
    let (ended, status) = mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait()));
    let status = status.recv_timeout(patience).expect("it ends when it is told to");
    assert!(status.expect("it is our child").success());
}

#[test]
fn started_by_hand_it_says_who_starts_it() {
    let output = Command::new(env!("CARGO_BIN_EXE_lines"))
        .env_remove(LANE_VARIABLE)
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("Symphony") || said.contains("NotStarted"), "{said}");
}
