//! Calls over a lane whose peer behaves: answered exactly once each, whoever reads.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

mod support;

use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use ipc::{CallError, CallOptions, Closed, Kind, Payload, RemoteFailure, Submission, Value};
use support::{Heard, HostOptions, echoing, greet, host, host_with, inputs, read_frame, watched};

#[test]
fn the_handshake_is_heard_in_order_and_a_call_is_answered() {
    watched(|| {
        let mut host = host();
        let (spare, _) = std::os::unix::net::UnixStream::pair().unwrap();
        support::echo(std::mem::replace(&mut host.peer, spare));
        assert_eq!(host.hear(), Heard::Hello("guest".into()));
        assert_eq!(host.hear(), Heard::Ready);
        let answer = host.lane.request("echo", &inputs(7), &CallOptions::default()).unwrap();
        assert_eq!(answer, inputs(7));
        host.lane.stop().unwrap();
        assert_eq!(host.hear_closed(), Closed::Eof);
    });
}

#[test]
fn a_call_before_ready_is_refused_here() {
    watched(|| {
        let host = host();
        let error = host.lane.request("echo", &inputs(1), &CallOptions::default()).unwrap_err();
        assert!(matches!(error, CallError::NotReady { .. }), "{error}");
    });
}

#[test]
fn eight_threads_mixed_with_submitted_calls_are_each_answered_once() {
    watched(|| {
        let host = echoing(1024);
        let submitted = Arc::new(AtomicUsize::new(0));
        let wrong = Arc::new(AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let lane = host.lane.clone();
                let (submitted, wrong) = (Arc::clone(&submitted), Arc::clone(&wrong));
                scope.spawn(move || {
                    let options = CallOptions::default();
                    for round in 0..10_000 {
                        let sent = inputs(thread * 1_000_000 + round);
                        if round % 5 == 0 {
                            // A submitted call is answered somewhere else, and its sender does not wait: it only keeps
                            // the queue from being full of its own.
                            while lane.stats().pending > 500 {
                                std::thread::yield_now();
                            }
                            let expected = sent.clone();
                            let (submitted, wrong) = (Arc::clone(&submitted), Arc::clone(&wrong));
                            let done = move |result| {
                                submitted.fetch_add(1, Ordering::SeqCst);
                                wrong.fetch_add(
                                    usize::from(result != Ok(expected)),
                                    Ordering::SeqCst,
                                );
                            };
                            lane.submit("echo", &sent, &options, Box::new(done)).unwrap();
                        } else {
                            assert_eq!(lane.request("echo", &sent, &options), Ok(sent));
                        }
                    }
                });
            }
        });
        while submitted.load(Ordering::SeqCst) < 16_000 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(submitted.load(Ordering::SeqCst), 16_000);
        assert_eq!(wrong.load(Ordering::SeqCst), 0);
        let stats = host.lane.stats();
        assert_eq!((stats.pending, stats.late), (0, 0));
    });
}

#[test]
fn deadlines_that_race_with_answers_lose_no_wake_up() {
    watched(|| {
        let mut host = host_with(HostOptions { queue: 4096, ..HostOptions::default() });
        let (spare, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = std::mem::replace(&mut host.peer, spare);
        std::thread::spawn(move || {
            let reader = ipc::Reader::new().unwrap();
            let lane = support::guest(peer, &reader);
            let mut turn = 0_u64;
            while let Ok(Some(request)) = lane.next_request(None, None) {
                turn += 1;
                if turn.is_multiple_of(7) {
                    std::thread::sleep(Duration::from_micros(200 * (turn % 5)));
                }
                let _ = lane.reply(request.correlation, Ok(request.inputs));
            }
        });
        host.wait_ready();
        let expired = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for thread in 0_i64..8 {
                let (lane, expired) = (host.lane.clone(), &expired);
                scope.spawn(move || {
                    for round in 0_i64..1000 {
                        let sent = inputs(thread * 1_000_000 + round);
                        // Every third call waits without a deadline: it hangs if a wake-up is lost.
                        let micros = u64::try_from((round * 37 + thread * 11) % 2000).unwrap();
                        let options = if round % 3 == 0 {
                            CallOptions::default()
                        } else {
                            CallOptions::within(Duration::from_micros(micros))
                        };
                        match lane.request("echo", &sent, &options) {
                            Ok(answer) => assert_eq!(answer, sent),
                            Err(CallError::TimedOut { .. }) => {
                                expired.fetch_add(1, Ordering::SeqCst);
                            }
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
        });
        assert!(expired.load(Ordering::SeqCst) > 0, "no deadline passed, the test shows nothing");
        // Every call that was given up is answered in the end and leaves its place.
        while host.lane.stats().pending > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Each call has one end: what was answered in time was not given up, too.
        assert_eq!(host.lane.stats().late, expired.load(Ordering::SeqCst) as u64);
        assert_eq!(host.lane.request("echo", &inputs(1), &CallOptions::default()), Ok(inputs(1)));
    });
}

#[test]
fn a_submitted_call_is_answered_while_nobody_waits() {
    watched(|| {
        let host = echoing(16);
        // After blocking calls the lane is left to its callers for a moment: the reading must still come back.
        for round in 0..50 {
            host.lane.request("echo", &inputs(round), &CallOptions::default()).unwrap();
            let (sender, answers) = mpsc::channel();
            let done = Box::new(move |result| sender.send(result).unwrap());
            host.lane.submit("echo", &inputs(round), &CallOptions::default(), done).unwrap();
            let answer = answers.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(answer, Ok(inputs(round)));
        }
    });
}

#[test]
fn a_batch_is_answered_in_full_and_what_does_not_fit_is_refused() {
    watched(|| {
        let host = echoing(8);
        let (sender, answers) = mpsc::channel();
        let payloads: Vec<Payload> = (0..10).map(inputs).collect();
        let batch = payloads
            .iter()
            .map(|inputs| {
                let sender = sender.clone();
                Submission {
                    operation: "echo",
                    inputs,
                    options: CallOptions::default(),
                    done: Box::new(move |result| sender.send(result).unwrap()),
                }
            })
            .collect();
        let outcomes = host.lane.submit_batch(batch);
        let refused = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert_eq!(refused, 2, "{outcomes:?}");
        for number in 0..8 {
            let answer = answers.recv_timeout(Duration::from_secs(10)).unwrap();
            assert_eq!(answer, Ok(inputs(number)));
        }
    });
}

#[test]
fn eight_waiting_callers_all_hear_of_the_end() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let lane = host.lane.clone();
        let callers: Vec<_> = (0..8)
            .map(|number| {
                let lane = lane.clone();
                std::thread::spawn(move || {
                    lane.request("hang", &inputs(number), &CallOptions::default())
                })
            })
            .collect();
        for _ in 0..8 {
            assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Request);
        }
        host.peer.shutdown(std::net::Shutdown::Both).unwrap();
        for caller in callers {
            let error = caller.join().unwrap().unwrap_err();
            assert!(matches!(error, CallError::Closed { reason: Closed::Eof, .. }), "{error}");
        }
        assert_eq!(host.hear_closed(), Closed::Eof);
        assert_eq!(host.lane.closed(), Some(Closed::Eof));
        let after = lane.request("hang", &inputs(1), &CallOptions::default()).unwrap_err();
        assert!(matches!(after, CallError::Closed { .. }));
    });
}

#[test]
fn closing_here_ends_a_waiting_caller() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let lane = host.lane.clone();
        let caller = std::thread::spawn(move || {
            lane.request("hang", &inputs(1), &CallOptions::default()).unwrap_err()
        });
        read_frame(&mut host.peer).unwrap();
        // Past the first tick the caller waits without a timeout.
        std::thread::sleep(Duration::from_millis(150));
        host.lane.close();
        let error = caller.join().unwrap();
        assert!(matches!(error, CallError::Closed { reason: Closed::Local, .. }), "{error}");
    });
}

#[test]
fn a_deadline_ends_blocking_and_submitted_calls_and_tells_the_peer() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        for span in [Duration::from_millis(20), Duration::from_millis(120)] {
            let before = Instant::now();
            let options = CallOptions::within(span);
            let error = host.lane.request("hang", &inputs(1), &options).unwrap_err();
            assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
            assert!(
                before.elapsed() >= span && before.elapsed() < span * 4 + Duration::from_secs(1)
            );
            let request = read_frame(&mut host.peer).unwrap();
            assert_ne!(request.header.deadline, 0);
            let cancel = read_frame(&mut host.peer).unwrap();
            assert_eq!(cancel.header.kind, Kind::Cancel);
            assert_eq!(cancel.header.correlation, request.header.correlation);
        }
        let (sender, answers) = mpsc::channel();
        let done = Box::new(move |result| sender.send(result).unwrap());
        let options = CallOptions::within(Duration::from_millis(50));
        host.lane.submit("hang", &inputs(1), &options, done).unwrap();
        let error = answers.recv_timeout(Duration::from_secs(10)).unwrap().unwrap_err();
        assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
        assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Request);
        assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Cancel);
        // The peer still owes three answers: that is known, and counts against its queue.
        assert_eq!(host.lane.stats().pending, 3);
        assert!(host.lane.overdue().is_some());
    });
}

#[test]
fn a_cancelled_call_ends_at_once_and_its_late_answer_is_counted() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let (sender, answers) = mpsc::channel();
        let done = Box::new(move |result| sender.send(result).unwrap());
        let call = host.lane.submit("hang", &inputs(1), &CallOptions::default(), done).unwrap();
        assert!(host.lane.cancel(call));
        assert_eq!(answers.recv_timeout(Duration::from_secs(10)), Ok(Err(CallError::Cancelled)));
        assert!(!host.lane.cancel(call));
        let request = read_frame(&mut host.peer).unwrap();
        assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Cancel);
        let reply = ipc::Header::new(Kind::Reply, request.header.correlation);
        support::write_frame(&mut host.peer, reply, &[0xc0]);
        support::write_frame(&mut host.peer, ipc::Header::new(Kind::Reply, 12345), &[0xc0]);
        while host.lane.stats().late < 2 {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(host.lane.stats().pending, 0);
        assert_eq!(host.lane.closed(), None);
    });
}

#[test]
fn a_poll_hook_gives_a_leading_and_a_following_caller_up() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let give_up = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..3)
            .map(|number| {
                let (lane, give_up) = (host.lane.clone(), Arc::clone(&give_up));
                std::thread::spawn(move || {
                    let poll = || give_up.load(Ordering::SeqCst);
                    let options = CallOptions::default();
                    lane.request_polling("hang", &inputs(number), &options, Some(&poll))
                })
            })
            .collect();
        for _ in 0..3 {
            read_frame(&mut host.peer).unwrap();
        }
        give_up.store(true, Ordering::SeqCst);
        for caller in callers {
            assert_eq!(caller.join().unwrap(), Err(CallError::Interrupted));
        }
        for _ in 0..3 {
            assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Cancel);
        }
    });
}

#[test]
fn a_poll_hook_may_call_over_the_same_lane() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let lane = host.lane.clone();
        let inner = lane.clone();
        let caller = std::thread::spawn(move || {
            let poll = || {
                let options = CallOptions::within(Duration::from_millis(20));
                let error = inner.request("hang", &inputs(2), &options).unwrap_err();
                assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
                true
            };
            lane.request_polling("hang", &inputs(1), &CallOptions::default(), Some(&poll))
        });
        assert_eq!(caller.join().unwrap(), Err(CallError::Interrupted));
        read_frame(&mut host.peer).unwrap();
    });
}

#[test]
fn a_full_queue_refuses_and_replies_still_pass() {
    watched(|| {
        let mut host = host_with(HostOptions { queue: 2, ..HostOptions::default() });
        greet(&mut host);
        let options = CallOptions::default();
        let mut answers = Vec::new();
        for number in 0..2 {
            let (sender, answer) = mpsc::channel();
            let done = Box::new(move |result| sender.send(result).unwrap());
            host.lane.submit("hang", &inputs(number), &options, done).unwrap();
            answers.push(answer);
        }
        let error = host.lane.request("hang", &inputs(3), &options).unwrap_err();
        assert!(matches!(error, CallError::Overloaded { queue: 2, .. }), "{error}");
        for answer in answers {
            let request = read_frame(&mut host.peer).unwrap();
            let reply = ipc::Header::new(Kind::Reply, request.header.correlation);
            support::write_frame(&mut host.peer, reply, &[0xc0]);
            assert_eq!(answer.recv_timeout(Duration::from_secs(10)), Ok(Ok(Payload::none())));
        }
    });
}

#[test]
fn a_failure_of_the_peer_arrives_whole() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let lane = host.lane.clone();
        let caller = std::thread::spawn(move || {
            lane.request("fail", &inputs(1), &CallOptions::default()).unwrap_err()
        });
        let request = read_frame(&mut host.peer).unwrap();
        let failure = RemoteFailure {
            code: "remote-error".into(),
            message: "no such file".into(),
            type_name: "FileNotFoundError".into(),
            traceback: "line 1".into(),
            causes: vec!["why".into()],
        };
        let body = Payload::serialize(&failure).unwrap();
        let header = ipc::Header::new(Kind::Error, request.header.correlation);
        support::write_frame(&mut host.peer, header, body.bytes());
        assert_eq!(caller.join().unwrap(), CallError::Remote(failure));
    });
}

#[test]
fn a_guest_calls_back_while_it_is_called() {
    watched(|| {
        let mut host = host();
        let (spare, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = std::mem::replace(&mut host.peer, spare);
        std::thread::spawn(move || {
            let reader = ipc::Reader::new().unwrap();
            let lane = support::guest(peer, &reader);
            while let Ok(Some(request)) = lane.next_request(None, None) {
                let inner = lane.request("store.put", &request.inputs, &CallOptions::default());
                let _ = lane.reply(request.correlation, Ok(inner.unwrap()));
            }
        });
        host.wait_ready();
        for number in 0..100 {
            let answer = host.lane.request("nest", &inputs(number), &CallOptions::default());
            assert_eq!(answer, Ok(inputs(number)));
        }
    });
}

#[test]
fn a_guest_answers_ping_while_it_works() {
    watched(|| {
        let mut host = host();
        let (spare, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = std::mem::replace(&mut host.peer, spare);
        let (free, blocked) = mpsc::channel::<()>();
        std::thread::spawn(move || {
            let reader = ipc::Reader::new().unwrap();
            let lane = support::guest(peer, &reader);
            while let Ok(Some(request)) = lane.next_request(None, None) {
                let _ = blocked.recv();
                let _ = lane.reply(request.correlation, Ok(Payload::none()));
            }
        });
        host.wait_ready();
        let (sender, answer) = mpsc::channel();
        let done = Box::new(move |result| sender.send(result).unwrap());
        host.lane.submit("work", &inputs(1), &CallOptions::default(), done).unwrap();
        std::thread::sleep(Duration::from_millis(20));
        host.lane.ping().unwrap();
        while host.lane.silence().is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(answer.try_recv().is_err());
        free.send(()).unwrap();
        assert_eq!(answer.recv_timeout(Duration::from_secs(10)), Ok(Ok(Payload::none())));
    });
}

#[test]
fn large_values_pass_both_ways() {
    watched(|| {
        let host = echoing(16);
        for size in [1, 16 * 1024, 70_000, 5 << 20, 40 << 20] {
            let bytes: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[0] ^ 0x5a).collect();
            let sent = Payload::from_value(&Value::from([("data", bytes)])).unwrap();
            let answer = host.lane.request("echo", &sent, &CallOptions::default()).unwrap();
            assert!(answer == sent, "{size} bytes came back changed");
        }
        let huge = Payload::from_value(&Value::from([("data", vec![0u8; 64 << 20])])).unwrap();
        let error = host.lane.request("echo", &huge, &CallOptions::default()).unwrap_err();
        assert!(matches!(error, CallError::TooLarge { .. }), "{error}");
        host.lane.request("echo", &inputs(1), &CallOptions::default()).unwrap();
    });
}

#[test]
fn a_caller_with_a_poll_hook_still_sees_its_deadline() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let options = CallOptions::within(Duration::from_millis(120));
        let error =
            host.lane.request_polling("hang", &inputs(1), &options, Some(&|| false)).unwrap_err();
        assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
    });
}

#[test]
fn a_peer_that_streams_into_a_plain_call_ends_the_lane_and_every_caller_hears_it() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let lane = host.lane.clone();
        let plain =
            std::thread::spawn(move || lane.request("plain", &inputs(1), &CallOptions::default()));
        let correlation = read_frame(&mut host.peer).unwrap().header.correlation;
        let (sender, submitted) = mpsc::channel();
        let done = Box::new(move |result| sender.send(result).unwrap());
        host.lane.submit("plain", &inputs(2), &CallOptions::default(), done).unwrap();
        read_frame(&mut host.peer).unwrap();
        support::write_frame(&mut host.peer, ipc::Header::new(Kind::End, correlation), &[]);
        for result in [plain.join().unwrap(), submitted.recv().unwrap()] {
            let closed =
                matches!(result, Err(CallError::Closed { reason: Closed::Violation(_), .. }));
            assert!(closed, "{result:?}");
        }
    });
}

#[test]
fn a_guest_may_have_many_long_answers_at_once() {
    watched(|| {
        let mut host = host();
        let (spare, _) = UnixStream::pair().unwrap();
        let peer = std::mem::replace(&mut host.peer, spare);
        let reader = ipc::Reader::new().unwrap();
        let guest = support::guest(peer, &reader);
        host.wait_ready();
        let (tell, told) = mpsc::channel();
        for _ in 0..40 {
            let tell = tell.clone();
            let done = Box::new(move |answer: Result<Payload, CallError>| {
                tell.send(answer.map(|answer| answer.size())).unwrap();
            });
            host.lane.submit("long", &inputs(1), &CallOptions::default(), done).unwrap();
        }
        let asked: Vec<_> =
            (0..40).map(|_| guest.next_request(None, None).unwrap().unwrap()).collect();
        let long = Payload::from_value(&Value::from(vec![1u8; 16 << 20])).unwrap();
        for request in asked {
            guest.reply(request.correlation, Ok(long.clone())).unwrap();
        }
        for _ in 0..40 {
            assert_eq!(told.recv_timeout(Duration::from_secs(30)).unwrap(), Ok(long.size()));
        }
    });
}
