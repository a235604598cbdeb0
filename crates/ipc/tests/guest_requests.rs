//! Requests that a guest makes: given up, counted, and ended with the one for whose sake they are made.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

mod support;

use std::sync::mpsc;
use std::time::Duration;

use ipc::{CallError, CallOptions, Payload, Value};
use support::{Heard, HostOptions, host_with, inputs, watched};

#[test]
fn a_request_that_the_guest_gives_up_is_told_once_and_still_answered() {
    watched(|| {
        let (asked, requests) = mpsc::channel();
        let answer = Box::new(move |lane: &ipc::Lane, request: ipc::InboundRequest| {
            asked.send((lane.clone(), request)).unwrap();
        });
        let mut host = host_with(HostOptions { answer: Some(answer), ..HostOptions::default() });
        let (spare, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let reader = ipc::Reader::new().unwrap();
        let guest = support::guest(std::mem::replace(&mut host.peer, spare), &reader);
        host.wait_ready();
        for answered in [false, true] {
            let (tell, told) = mpsc::channel();
            let done = Box::new(move |outcome| tell.send(outcome).unwrap());
            let call = guest.submit("wait", &inputs(1), &CallOptions::default(), done).unwrap();
            let (lane, request) = requests.recv().unwrap();
            if answered {
                lane.reply(request.correlation, Ok(inputs(2))).unwrap();
                assert_eq!(told.recv().unwrap().unwrap(), inputs(2));
                assert!(!guest.cancel(call));
            } else {
                assert!(guest.cancel(call));
                assert!(!guest.cancel(call));
                assert_eq!(host.hear(), Heard::Cancelled(request.correlation));
                assert!(lane.is_cancelled(request.correlation));
                lane.reply(request.correlation, Ok(inputs(2))).unwrap();
            }
        }
        assert!(host.heard.try_recv().is_err(), "it is told once, and not of what is answered");
    });
}

#[test]
fn requests_that_wait_count_their_bytes_until_they_are_answered() {
    const LIMIT: usize = 1 << 20;
    watched(|| {
        let (asked, requests) = mpsc::channel();
        let answer = Box::new(move |lane: &ipc::Lane, request: ipc::InboundRequest| {
            asked.send((lane.clone(), request)).unwrap();
        });
        let options =
            HostOptions { answer: Some(answer), in_limit: LIMIT, ..HostOptions::default() };
        let mut host = host_with(options);
        let (spare, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let reader = ipc::Reader::new().unwrap();
        let guest = support::guest(std::mem::replace(&mut host.peer, spare), &reader);
        host.wait_ready();
        let weight = |bytes: usize| {
            Payload::from_value(&Value::from([("data", Value::from(vec![0; bytes]))])).unwrap()
        };
        let (tell, told) = mpsc::channel();
        let ask = |bytes| {
            let tell = tell.clone();
            let done = Box::new(move |outcome: Result<Payload, CallError>| {
                // The last one ends with the lane, when nobody listens any more.
                let _ = tell.send(outcome.map_err(|error| component::Hint::code(&error)));
            });
            guest.submit("wait", &weight(bytes), &CallOptions::default(), done).unwrap();
        };
        // One alone is always taken, whatever it weighs.
        ask(3 * LIMIT);
        let (lane, request) = requests.recv().unwrap();
        ask(10);
        assert_eq!(told.recv().unwrap(), Err(component::Code::OVERLOADED));
        lane.reply(request.correlation, Ok(inputs(1))).unwrap();
        assert_eq!(told.recv().unwrap(), Ok(inputs(1)));
        for _ in 0..100 {
            ask(LIMIT / 4);
        }
        let taken: Vec<_> = (0..3).map(|_| requests.recv().unwrap()).collect();
        let refused = (0..97).map(|_| told.recv().unwrap());
        assert!(refused.into_iter().all(|outcome| outcome == Err(component::Code::OVERLOADED)));
        for (lane, request) in taken {
            lane.reply(request.correlation, Ok(inputs(1))).unwrap();
        }
        assert!((0..3).all(|_| told.recv().unwrap() == Ok(inputs(1))));
        ask(LIMIT / 2);
        requests.recv().unwrap();
    });
}

#[test]
fn what_is_asked_for_the_sake_of_a_request_ends_with_it() {
    watched(|| {
        let host =
            host_with(HostOptions { answer: Some(Box::new(|_, _| {})), ..HostOptions::default() });
        let (lane, heard, peer) = (host.lane, host.heard, host.peer);
        let reader = ipc::Reader::new().unwrap();
        let serving = std::thread::spawn(move || {
            let guest = support::guest(peer, &reader);
            let mut outcomes = Vec::new();
            for _ in 0..3 {
                let served = guest.next_request(None, None).unwrap().unwrap().correlation;
                let options = CallOptions::default();
                let asked = guest.request_under(served, "ask", &inputs(1), &options, None, None);
                outcomes.push(asked.unwrap_err());
                let _ = guest.reply(served, Ok(inputs(2)));
            }
            // Of what is not pending there is no deadline and no cancel.
            let soon = CallOptions::within(Duration::from_millis(150));
            let asked = guest.request_under(7, "ask", &inputs(1), &soon, None, None);
            outcomes.push(asked.unwrap_err());
            outcomes
        });
        while heard.recv().unwrap() != Heard::Ready {}
        let (tell, told) = mpsc::channel();
        let submit = |options: CallOptions| {
            let tell = tell.clone();
            let done = Box::new(move |outcome: Result<_, CallError>| drop(tell.send(outcome)));
            lane.submit("serve", &inputs(0), &options, done).unwrap()
        };
        let call = submit(CallOptions::default());
        std::thread::sleep(Duration::from_millis(100));
        lane.cancel(call);
        assert!(matches!(told.recv().unwrap(), Err(CallError::Cancelled)));
        submit(CallOptions::within(Duration::from_millis(200)));
        // Both ends keep the time; the guest's answer may be as fast as the end of it here.
        assert!(matches!(told.recv().unwrap(), Err(CallError::TimedOut { .. }) | Ok(_)));
        let call = submit(CallOptions::default());
        std::thread::sleep(Duration::from_millis(100));
        lane.cancel(call);
        let outcomes = serving.join().unwrap();
        assert!(matches!(outcomes[0], CallError::Cancelled), "{outcomes:?}");
        let ended =
            |error: &CallError| matches!(error, CallError::TimedOut { .. } | CallError::Cancelled);
        assert!(ended(&outcomes[1]), "{outcomes:?}");
        assert!(matches!(outcomes[2], CallError::Cancelled), "{outcomes:?}");
        assert!(matches!(outcomes[3], CallError::TimedOut { .. }), "{outcomes:?}");
    });
}
