//! A guest as a real process: this test binary starts itself again as the guest, its lane passed by descriptor.
#![expect(clippy::unwrap_used, clippy::needless_pass_by_value, reason = "helpers of a test")]

use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use ipc::{
    CallError, CallOptions, Closed, Hello, Inbound, InboundRequest, LANE_VARIABLE, Lane,
    LaneOptions, Payload, Reader, Refused, Welcome,
};
use symphony_guest::{Context, Guest, GuestError, Value};

// The guest.

fn fail(_: Value, _: &Context<'_>) -> Result<Value, GuestError> {
    Err("the disk is on fire".into())
}

fn crash(_: Value, _: &Context<'_>) -> Result<Value, GuestError> {
    std::process::abort()
}

fn panics(_: Value, _: &Context<'_>) -> Result<Value, GuestError> {
    panic!("not like this")
}

fn wait(_: Value, context: &Context<'_>) -> Result<Value, GuestError> {
    context.publish("waiting", "for a cancel")?;
    while !context.cancelled() {
        std::thread::sleep(Duration::from_millis(1));
    }
    context.publish("waited", "until cancelled")?;
    Ok(Value::None)
}

fn numbers(inputs: Value, context: &Context<'_>) -> Result<(), GuestError> {
    let count = inputs.get("count").and_then(Value::as_int).ok_or("`count` is missing")?;
    (0..count).try_for_each(|number| context.item(number))
}

/// The same from four threads at once, each number once.
fn numbers_of_threads(inputs: Value, context: &Context<'_>) -> Result<(), GuestError> {
    let count = inputs.get("count").and_then(Value::as_int).ok_or("`count` is missing")?;
    std::thread::scope(|scope| {
        let give = |first: i64| {
            scope.spawn(move || {
                (first..count).step_by(4).try_for_each(|number| context.item(number))
            })
        };
        let threads: Vec<_> = (0..4).map(give).collect();
        threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "a thread panicked")?)
    })
}

/// How many others ran when this one did.
fn overlap() -> i64 {
    static RUNNING: AtomicI64 = AtomicI64::new(0);
    let others = RUNNING.fetch_add(1, Ordering::SeqCst);
    std::thread::sleep(Duration::from_millis(2));
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    others
}

/// Does nothing in the test run itself; in the process that `start` starts, it is the guest.
#[test]
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn the_guest_itself() {
    if std::env::var(LANE_VARIABLE).is_err() {
        return;
    }
    let ended = Guest::new("probe")
        .version("1.2.3")
        .operation("echo", |inputs, _| Ok(inputs))
        .operation("fail", fail)
        .operation("panic", panics)
        .operation("crash", crash)
        .operation("wait", wait)
        .operation("store", |inputs, context| context.call("artifact-store.put", inputs))
        .operation("overlap", |_, _| Ok(Value::from(overlap())))
        .stream("numbers", numbers)
        .stream("numbers_of_threads", numbers_of_threads)
        .run();
    std::process::exit(i32::from(ended.is_err()));
}

// The host.

enum Heard {
    Hello(Hello),
    Ready,
    Publish(String),
    Stopped,
    Closed(Closed),
}

struct Owner(Mutex<mpsc::Sender<Heard>>);

impl Owner {
    fn tell(&self, heard: Heard) {
        let _ = self.0.lock().unwrap().send(heard);
    }
}

impl Inbound for Owner {
    fn hello(&self, hello: Hello) -> Result<Welcome, Refused> {
        self.tell(Heard::Hello(hello));
        Ok(Welcome::new(64))
    }

    fn ready(&self) {
        self.tell(Heard::Ready);
    }

    fn request(&self, lane: &Lane, request: InboundRequest) {
        assert_eq!(request.operation, "artifact-store.put");
        let _ = lane.reply(request.correlation, Ok(request.inputs));
    }

    fn publish(&self, topic: &str, _value: Payload) {
        self.tell(Heard::Publish(topic.to_owned()));
    }

    fn stopped(&self) {
        self.tell(Heard::Stopped);
    }

    fn closed(&self, reason: Closed) {
        self.tell(Heard::Closed(reason));
    }
}

struct Host {
    lane: Lane,
    child: Child,
    heard: mpsc::Receiver<Heard>,
    hello: Hello,
    _reader: Reader,
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child must not inherit the lane of another test's child: one is started at a time.
static STARTING: Mutex<()> = Mutex::new(());

fn start() -> Host {
    let reader = Reader::new().unwrap();
    let (sender, heard) = mpsc::channel();
    let starting = STARTING.lock().unwrap();
    let (ours, theirs) = UnixStream::pair().unwrap();
    let theirs = OwnedFd::from(theirs);
    rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty()).unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_guest_itself", "--nocapture"])
        .env(LANE_VARIABLE, theirs.as_raw_fd().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    drop(theirs);
    drop(starting);
    let options = LaneOptions::host("probe", 64, &reader);
    let owner = Arc::new(Owner(Mutex::new(sender)));
    let lane = Lane::open(OwnedFd::from(ours), options, owner).unwrap();
    let Heard::Hello(hello) = heard.recv_timeout(Duration::from_secs(20)).unwrap() else {
        panic!("the first word is a greeting");
    };
    assert!(matches!(heard.recv_timeout(Duration::from_secs(20)).unwrap(), Heard::Ready));
    Host { lane, child, heard, hello, _reader: reader }
}

fn within() -> CallOptions {
    CallOptions::within(Duration::from_secs(20))
}

/// Waits for the process's end; true if it was a good one.
fn ended(child: &mut Child) -> bool {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        assert!(Instant::now() < deadline, "the guest does not end");
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Host {
    fn call(&self, operation: &str, inputs: impl Into<Value>) -> Result<Value, CallError> {
        let inputs = Payload::from_value(&inputs.into()).unwrap();
        let options = CallOptions::within(Duration::from_secs(20));
        Ok(self.lane.request(operation, &inputs, &options)?.value().unwrap())
    }

    fn hear(&self) -> Heard {
        self.heard.recv_timeout(Duration::from_secs(20)).unwrap()
    }

    fn hear_published(&self) -> String {
        match self.hear() {
            Heard::Publish(topic) => topic,
            _ => panic!("a published value is expected"),
        }
    }
}

#[test]
fn it_says_what_it_offers() {
    let host = start();
    assert_eq!((host.hello.name.as_str(), host.hello.version.as_str()), ("probe", "1.2.3"));
    let streams: Vec<(&str, bool)> = host
        .hello
        .operations
        .iter()
        .map(|operation| (operation.name.as_str(), operation.stream))
        .collect();
    assert!(streams.contains(&("echo", false)) && streams.contains(&("numbers", true)));
}

#[test]
fn it_answers_fails_and_survives_a_panic() {
    let host = start();
    let inputs = Value::from([("text", "hi")]);
    assert_eq!(host.call("echo", inputs.clone()), Ok(inputs.clone()));
    let CallError::Remote(failure) = host.call("fail", inputs.clone()).unwrap_err() else {
        panic!("a failure of the guest is expected");
    };
    assert_eq!(
        (failure.code.as_str(), failure.message.as_str()),
        ("remote-error", "the disk is on fire")
    );
    let CallError::Remote(failure) = host.call("panic", inputs.clone()).unwrap_err() else {
        panic!("a failure of the guest is expected");
    };
    assert_eq!((failure.type_name.as_str(), failure.message.as_str()), ("panic", "not like this"));
    let unknown = host.call("nothing", inputs.clone()).unwrap_err();
    assert!(matches!(unknown, CallError::UnknownOperation { .. }), "{unknown}");
    assert_eq!(host.call("echo", inputs.clone()), Ok(inputs));
}

#[test]
fn it_calls_back_while_it_is_called() {
    let host = start();
    for number in 0..20 {
        let inputs = Value::from([("data", number)]);
        assert_eq!(host.call("store", inputs.clone()), Ok(inputs));
    }
}

#[test]
fn it_streams_and_gives_a_list_to_who_takes_one_result() {
    let host = start();
    let inputs = Payload::from_value(&Value::from([("count", 1000)])).unwrap();
    let items = host.lane.request_stream("numbers", &inputs, &within()).unwrap();
    let numbers: Vec<i64> =
        items.map(|item| item.unwrap().value().unwrap().as_int().unwrap()).collect();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
    let list = host.call("numbers", [("count", 3)]).unwrap();
    assert_eq!(list, Value::List((0..3).map(Value::Int).collect()));
}

#[test]
fn a_stream_that_several_threads_give_items_to_ends_with_each_once() {
    let host = start();
    let inputs = Payload::from_value(&Value::from([("count", 4000)])).unwrap();
    let mut items = host.lane.request_stream("numbers_of_threads", &inputs, &within()).unwrap();
    let first = items.next().unwrap().unwrap();
    // Meanwhile all four have found that there is no room.
    std::thread::sleep(Duration::from_millis(200));
    let mut numbers: Vec<i64> = std::iter::once(first)
        .chain(items.map(|item| item.unwrap()))
        .map(|item| item.value().unwrap().as_int().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..4000).collect::<Vec<_>>());
    let mut dropped = host.lane.request_stream("numbers_of_threads", &inputs, &within()).unwrap();
    dropped.next().unwrap().unwrap();
    std::thread::sleep(Duration::from_millis(200));
    drop(dropped);
    // All four have left: its one serving thread is free again.
    assert_eq!(host.call("echo", [("n", 1)]), Ok(Value::from([("n", 1)])));
}

#[test]
fn a_stream_that_is_dropped_stops_the_guest() {
    let host = start();
    let inputs = Payload::from_value(&Value::from([("count", i64::MAX)])).unwrap();
    let mut items = host.lane.request_stream("numbers", &inputs, &within()).unwrap();
    assert_eq!(items.next().unwrap().unwrap().value(), Ok(Value::Int(0)));
    drop(items);
    // Its one serving thread is free again.
    assert_eq!(host.call("echo", [("n", 1)]), Ok(Value::from([("n", 1)])));
}

#[test]
fn it_notices_a_cancel() {
    let host = start();
    let (sender, answer) = mpsc::channel();
    let done = Box::new(move |result| sender.send(result).unwrap());
    let call =
        host.lane.submit("wait", &Payload::empty_map(), &CallOptions::default(), done).unwrap();
    assert_eq!(host.hear_published(), "waiting");
    assert!(host.lane.cancel(call));
    assert_eq!(answer.recv_timeout(Duration::from_secs(20)).unwrap(), Err(CallError::Cancelled));
    assert_eq!(host.hear_published(), "waited");
}

#[test]
fn a_crash_ends_the_call_and_the_lane() {
    let mut host = start();
    let error = host.call("crash", Value::Map(Vec::new())).unwrap_err();
    assert!(matches!(error, CallError::Closed { reason: Closed::Eof, .. }), "{error}");
    assert!(matches!(host.hear(), Heard::Closed(Closed::Eof)));
    assert!(!ended(&mut host.child));
}

#[test]
fn it_stops_when_it_is_told_and_when_the_host_is_gone() {
    let mut told = start();
    told.lane.stop().unwrap();
    assert!(matches!(told.hear(), Heard::Stopped));
    assert!(matches!(told.hear(), Heard::Closed(Closed::Eof)));
    assert!(ended(&mut told.child));

    let mut left = start();
    left.lane.close();
    assert!(ended(&mut left.child));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn a_program_that_nobody_started_says_so() {
    if std::env::var(LANE_VARIABLE).is_ok() {
        return;
    }
    let error = Guest::new("lonely").run().unwrap_err();
    assert_eq!(error.to_string(), "there is no lane to a host: `SYMPHONY_LANE` is not set");
    assert!(component::Hint::hints(&error)[0].contains("Symphony starts it"));
}

#[test]
fn an_operation_that_is_defined_twice_is_refused() {
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let guest = Guest::new("double")
        .operation("echo", |inputs, _| Ok(inputs))
        .operation("echo", |inputs, _| Ok(inputs));
    let error = guest.serve(OwnedFd::from(ours)).unwrap_err();
    assert!(matches!(error, GuestError::Duplicate { .. }), "{error}");
}

#[test]
fn streams_that_nobody_reads_hold_up_nobody_and_operations_run_one_at_a_time() {
    let host = start();
    let inputs = Payload::from_value(&Value::from([("count", 1000)])).unwrap();
    let mut streams: Vec<_> =
        (0..5).map(|_| host.lane.request_stream("numbers", &inputs, &within()).unwrap()).collect();
    // Each has begun, and soon has no room.
    for items in &mut streams {
        assert_eq!(items.next().unwrap().unwrap().value().unwrap().as_int(), Some(0));
    }
    assert_eq!(host.call("echo", [("a", 1)]).unwrap(), Value::from([("a", 1)]));
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..8)
            .map(|_| {
                let lane = &host.lane;
                scope.spawn(|| {
                    let none = Payload::empty_map();
                    let others = (0..5).map(|_| lane.request("overlap", &none, &within()).unwrap());
                    others.map(|others| others.value().unwrap().as_int().unwrap()).max()
                })
            })
            .collect();
        // Streams go on meanwhile, and end with all their values.
        for items in &mut streams[..3] {
            let numbers = items.map(|item| item.unwrap().value().unwrap().as_int().unwrap());
            assert!(numbers.eq(1..1000));
        }
        for call in calls {
            assert_eq!(call.join().unwrap(), Some(0));
        }
    });
    drop(streams);
    assert_eq!(host.call("echo", [("a", 2)]).unwrap(), Value::from([("a", 2)]));
}

#[test]
fn the_operation_that_others_wait_for_is_known() {
    const LIMIT: Duration = Duration::from_millis(60);
    let host = start();
    let (sender, answers) = mpsc::channel();
    let submit = |operation: &str| {
        let sender = sender.clone();
        let done = Box::new(move |result: Result<Payload, CallError>| {
            sender.send(result.is_ok()).unwrap();
        });
        let options = CallOptions::default();
        host.lane.submit(operation, &Payload::empty_map(), &options, done).unwrap()
    };
    let waits = submit("wait");
    assert_eq!(host.hear_published(), "waiting");
    std::thread::sleep(2 * LIMIT);
    assert_eq!(host.lane.held_up(LIMIT), None, "a long call that nobody waits for is no fault");
    submit("echo");
    submit("echo");
    let held = host.lane.held_up(LIMIT).unwrap();
    assert_eq!((held.operation.as_str(), held.behind), ("wait", 2));
    assert!(held.since >= LIMIT && held.streams.is_empty(), "{held:?}");
    assert!(held.to_string().ends_with("s, and 2 calls wait behind it"), "{held}");
    assert_eq!(host.lane.held_up(Duration::from_secs(100)), None);
    // What runs beside others holds up nobody.
    host.lane.set_beside(vec!["wait".to_owned()]);
    assert_eq!(host.lane.held_up(Duration::from_secs(100)), None);
    host.lane.set_beside(Vec::new());
    host.lane.cancel(waits);
    for _ in 0..3 {
        answers.recv_timeout(Duration::from_secs(20)).unwrap();
    }
    assert_eq!(host.lane.held_up(Duration::ZERO), None);
}
