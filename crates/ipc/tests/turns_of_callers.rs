//! Calls of several callers on one lane: whoever sends much holds up nobody else, and what waits can be taken back.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

mod support;

use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use ipc::{CallError, CallId, CallOptions, CallerId, InboundRequest, Lane, Payload, Reader, Value};
use support::{Host, HostOptions, guest, host, host_with, inputs, watched};

const LONG: usize = 3 << 20;
/// How long a test waits where nothing may come, or for a time that is to be over.
const TICK: Duration = Duration::from_millis(200);

/// A host, and a guest that the test serves by hand.
fn pair() -> (Host, Lane, Reader) {
    let mut host = host();
    let (spare, _) = UnixStream::pair().unwrap();
    let peer = std::mem::replace(&mut host.peer, spare);
    let reader = Reader::new().unwrap();
    let lane = guest(peer, &reader);
    host.wait_ready();
    (host, lane, reader)
}

fn long() -> Payload {
    Payload::from_value(&Value::from([("data", vec![7u8; LONG])])).unwrap()
}

fn of(caller: CallerId) -> CallOptions {
    CallOptions { caller: Some(caller), ..CallOptions::default() }
}

type Outcome = Result<Payload, CallError>;

fn submit(
    host: &Host,
    operation: &str,
    inputs: &Payload,
    options: &CallOptions,
) -> (CallId, mpsc::Receiver<Outcome>) {
    let (tell, told) = mpsc::channel();
    let done = Box::new(move |outcome| drop(tell.send(outcome)));
    (host.lane.submit(operation, inputs, options, done).unwrap(), told)
}

/// The guest's next request.
fn next(guest: &Lane) -> InboundRequest {
    guest.next_request(Some(Duration::from_secs(10)), None).unwrap().unwrap()
}

/// No request comes to the guest, for as long as a test waits for nothing.
fn nothing(guest: &Lane) {
    assert_eq!(guest.next_request(Some(TICK), None).unwrap(), None);
}

fn answer(guest: &Lane, request: InboundRequest) -> String {
    guest.reply(request.correlation, Ok(Payload::none())).unwrap();
    request.operation
}

#[test]
fn the_short_calls_of_twenty_others_come_after_one_long_call_of_a_caller_at_most() {
    watched(|| {
        let (host, guest, _reader) = pair();
        let greedy = CallerId::new();
        let many: Vec<_> = (0..8).map(|_| submit(&host, "long", &long(), &of(greedy))).collect();
        let others: Vec<_> = (0..20)
            .map(|number| submit(&host, "short", &inputs(number), &of(CallerId::new())))
            .collect();
        let order: Vec<_> = (0..28).map(|_| answer(&guest, next(&guest))).collect();
        nothing(&guest);
        assert!(order[..22].iter().filter(|name| *name == "long").count() <= 2, "{order:?}");
        for (_, told) in many.into_iter().chain(others) {
            assert_eq!(told.recv_timeout(Duration::from_secs(10)).unwrap(), Ok(Payload::none()));
        }
        assert_eq!(host.lane.stats().queued_bytes, 0);
    });
}

#[test]
fn operations_that_run_beside_others_are_all_sent() {
    watched(|| {
        let (host, guest, _reader) = pair();
        host.lane.set_beside(vec!["beside".to_owned()]);
        let told: Vec<_> =
            (0..3).map(|_| submit(&host, "beside", &long(), &CallOptions::default())).collect();
        let taken: Vec<_> = (0..3).map(|_| next(&guest)).collect();
        for request in taken.into_iter().rev() {
            answer(&guest, request);
        }
        for (_, told) in told {
            assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().is_ok());
        }
    });
}

#[test]
fn a_call_that_runs_beside_others_does_not_wait_for_the_long_ones_of_its_caller() {
    watched(|| {
        let (host, guest, _reader) = pair();
        host.lane.set_beside(vec!["beside".to_owned()]);
        let caller = CallerId::new();
        let long: Vec<_> = (0..2).map(|_| submit(&host, "long", &long(), &of(caller)).1).collect();
        let (_, told) = submit(&host, "beside", &inputs(1), &of(caller));
        let asked = next(&guest);
        assert_eq!(asked.operation, "long");
        // The first may wait for what this one does.
        assert_eq!(answer(&guest, next(&guest)), "beside");
        assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().is_ok());
        answer(&guest, asked);
        answer(&guest, next(&guest));
        for told in long {
            assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().is_ok());
        }
    });
}

#[test]
fn a_stream_that_gives_its_items_holds_back_no_long_call() {
    watched(|| {
        let (host, guest, _reader) = pair();
        let items = host.lane.request_stream("s", &long(), &CallOptions::default()).unwrap();
        let (_, told) = submit(&host, "long", &long(), &CallOptions::default());
        let stream = next(&guest);
        nothing(&guest);
        guest.item(stream.correlation, &inputs(1), None).unwrap();
        assert_eq!(items.next_item(None).unwrap(), Some(inputs(1)));
        answer(&guest, next(&guest));
        assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().is_ok());
    });
}

#[test]
fn a_call_that_waits_here_is_taken_back_by_its_cancel_and_by_its_time() {
    watched(|| {
        let (host, guest, _reader) = pair();
        let caller = CallerId::new();
        let (_, first) = submit(&host, "first", &long(), &of(caller));
        let (waits, cancelled) = submit(&host, "waits", &long(), &of(caller));
        let brief = CallOptions { caller: Some(caller), ..CallOptions::within(TICK) };
        let late = host.lane.request("late", &long(), &brief).unwrap_err();
        assert!(matches!(late, CallError::TimedOut { .. }), "{late}");
        let (_, last) = submit(&host, "last", &inputs(1), &of(caller));
        assert!(host.lane.cancel(waits));
        assert_eq!(
            cancelled.recv_timeout(Duration::from_secs(10)).unwrap(),
            Err(CallError::Cancelled)
        );
        // Nobody owes an answer to what was never sent.
        assert_eq!(host.lane.stats().pending, 2);
        let asked = next(&guest);
        // Nothing is before it any more that the first call would hold back.
        assert_eq!(answer(&guest, next(&guest)), "last");
        assert_eq!(answer(&guest, asked), "first");
        nothing(&guest);
        for told in [first, last] {
            assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().is_ok());
        }
        assert_eq!(host.lane.stats().pending, 0);
    });
}

#[test]
fn what_waits_is_served_before_the_guest_stops() {
    watched(|| {
        let (host, guest, _reader) = pair();
        let told: Vec<_> =
            (0..4).map(|_| submit(&host, "long", &long(), &CallOptions::default())).collect();
        host.lane.stop().unwrap();
        while let Some(request) = guest.next_request(None, None).unwrap() {
            answer(&guest, request);
        }
        for (_, told) in told {
            assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().is_ok());
        }
    });
}

#[test]
fn the_end_of_the_lane_ends_what_waits() {
    watched(|| {
        let (host, guest, _reader) = pair();
        let told: Vec<_> =
            (0..4).map(|_| submit(&host, "long", &long(), &CallOptions::default())).collect();
        next(&guest);
        guest.close();
        for (_, told) in told {
            let outcome = told.recv_timeout(Duration::from_secs(10)).unwrap();
            assert!(matches!(outcome, Err(CallError::Closed { .. })), "{outcome:?}");
        }
        assert_eq!(host.lane.stats().queued_bytes, 0);
    });
}

#[test]
fn what_is_taken_back_or_refused_hides_no_operation_that_others_wait_for() {
    const LIMIT: Duration = Duration::from_millis(300);
    watched(|| {
        let mut host = host_with(HostOptions { out_limit: 1 << 20, ..HostOptions::default() });
        let (spare, _) = UnixStream::pair().unwrap();
        let reader = Reader::new().unwrap();
        let guest = guest(std::mem::replace(&mut host.peer, spare), &reader);
        host.wait_ready();
        let caller = CallerId::new();
        let (_, told) = submit(&host, "hangs", &long(), &of(caller));
        let hangs = next(&guest);
        let (_, waits) = submit(&host, "waits", &inputs(1), &of(CallerId::new()));
        let brief = CallOptions { caller: Some(caller), ..CallOptions::within(LIMIT) };
        let late = host.lane.request("late", &long(), &brief).unwrap_err();
        assert!(matches!(late, CallError::TimedOut { .. }), "{late}");
        let held = host.lane.held_up(LIMIT / 2).unwrap();
        assert_eq!((held.operation.as_str(), held.behind), ("hangs", 1));
        let (_, last) = submit(&host, "last", &long(), &of(caller));
        let refused = host.lane.request("refused", &long(), &of(caller)).unwrap_err();
        assert!(matches!(refused, CallError::Overloaded { .. }), "{refused}");
        assert_eq!(host.lane.held_up(LIMIT / 2).unwrap().operation, "hangs");
        answer(&guest, hangs);
        assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().is_ok());
        for told in [waits, last] {
            answer(&guest, next(&guest));
            assert!(told.recv_timeout(Duration::from_secs(10)).unwrap().is_ok());
        }
        assert_eq!(host.lane.held_up(Duration::ZERO), None);
    });
}
