//! Peers that lie, break off, flood or hang: each costs itself its lane, with a typed reason, and nobody else anything.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

mod support;

use std::io::{Read, Write};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use ipc::{
    CallError, CallOptions, CallerId, Closed, Header, Hello, Kind, Payload, ProtocolError, Reader,
    STREAM, Value,
};
use support::{
    Heard, HostOptions, echoing, greet, guest, host, host_with, inputs, read_frame, watched,
    write_frame,
};

fn violation(host: &support::Host) -> ProtocolError {
    match host.hear_closed() {
        Closed::Violation(error) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn garbage_ends_the_lane() {
    watched(|| {
        let mut host = host();
        host.peer.write_all(&[0xff; 64]).unwrap();
        assert_eq!(violation(&host), ProtocolError::Magic { found: 0xffff });
        // The peer sees the end, not silence.
        assert_eq!(host.peer.read(&mut [0; 8]).unwrap(), 0);
    });
}

#[test]
fn every_unlawful_header_has_its_reason() {
    watched(|| {
        let bad = |at: usize, byte: u8| {
            let mut head = Header::new(Kind::Ping, 0).encode();
            head[at] = byte;
            head
        };
        for (head, reason) in [
            (bad(2, 9), ProtocolError::Version { found: 9 }),
            (bad(3, 0), ProtocolError::Kind { found: 0 }),
            (bad(3, 200), ProtocolError::Kind { found: 200 }),
            (bad(6, 1), ProtocolError::Reserved),
            (bad(15, 0x80), ProtocolError::TooLong { length: 1 << 31, limit: 1 << 20 }),
        ] {
            let mut host = host();
            host.peer.write_all(&head).unwrap();
            assert_eq!(violation(&host), reason);
        }
    });
}

#[test]
fn a_guest_that_is_ready_may_send_long_frames_and_not_longer_ones() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let head = Header { length: (64 << 20) + 1, ..Header::new(Kind::Reply, 1) };
        host.peer.write_all(&head.encode()).unwrap();
        let reason = ProtocolError::TooLong { length: (64 << 20) + 1, limit: 64 << 20 };
        assert_eq!(violation(&host), reason);
    });
}

#[test]
fn what_comes_before_its_time_or_from_the_wrong_side_is_refused() {
    watched(|| {
        let request = [0x93, 0xa1, b'x', 0x00, 0x80];
        for (kind, body) in [
            (Kind::Request, &request[..]),
            (Kind::Publish, &[0x92, 0xa1, b't', 0xc0][..]),
            (Kind::Ready, &[][..]),
            (Kind::Subscribe, &[0xa1, b't'][..]),
            (Kind::Welcome, &[0x80][..]),
            (Kind::Stop, &[][..]),
        ] {
            let mut host = host();
            write_frame(&mut host.peer, Header::new(kind, 1), body);
            let reason = violation(&host);
            assert!(
                matches!(reason, ProtocolError::Unexpected { kind: found, .. } if found == kind),
                "{reason}"
            );
        }
    });
}

#[test]
fn a_second_greeting_is_refused() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let body = Payload::serialize(&Hello::new("again")).unwrap();
        write_frame(&mut host.peer, Header::new(Kind::Hello, 0), body.bytes());
        assert!(matches!(violation(&host), ProtocolError::Unexpected { kind: Kind::Hello, .. }));
    });
}

#[test]
fn payloads_that_are_no_values_are_refused() {
    watched(|| {
        for (kind, body) in [
            (Kind::Reply, &[0xc1][..]),
            (Kind::Reply, &[0xc0, 0xc0][..]),
            (Kind::Error, &[0xc0][..]),
            (Kind::Request, &[0x93, 0xa1, b'x', 0x00, 0x90][..]),
            (Kind::Request, &[0x92, 0xa1, b'x', 0x80][..]),
            (Kind::Publish, &[0x92, 0x01, 0xc0][..]),
            (Kind::Credit, &[0xa1, b'x'][..]),
        ] {
            let mut host = host();
            greet(&mut host);
            write_frame(&mut host.peer, Header::new(kind, 1), body);
            let reason = violation(&host);
            assert!(
                matches!(reason, ProtocolError::Payload { kind: found, .. } if found == kind),
                "{kind}: {reason}"
            );
        }
    });
}

#[test]
fn a_guest_of_another_protocol_is_refused_with_the_reason() {
    watched(|| {
        let mut host = host();
        let hello = Hello { protocol: (7, 9), ..Hello::new("future") };
        let body = Payload::serialize(&hello).unwrap();
        write_frame(&mut host.peer, Header::new(Kind::Hello, 0), body.bytes());
        let refused = read_frame(&mut host.peer).unwrap();
        assert_eq!(refused.header.kind, Kind::Refused);
        let refused: ipc::Refused = Payload::new(refused.payload).unwrap().deserialize().unwrap();
        assert_eq!(refused.code, "protocol-mismatch");
        assert_eq!(host.hear_closed(), Closed::Local);
    });
}

#[test]
fn a_refused_guest_hears_why() {
    watched(|| {
        let host = host_with(HostOptions { refuse: true, ..HostOptions::default() });
        let reader = Reader::new().unwrap();
        let socket = host.peer.try_clone().unwrap().into();
        let options = ipc::LaneOptions::guest(&reader);
        let lane = ipc::Lane::open(socket, options, std::sync::Arc::new(())).unwrap();
        let error = lane.hello(&Hello::new("x"), Duration::from_secs(10)).unwrap_err();
        assert_eq!(
            error,
            CallError::Refused { code: "not-granted".into(), reason: "not today".into() }
        );
    });
}

#[test]
fn a_guest_that_cannot_start_says_why() {
    watched(|| {
        let host = host();
        let reader = Reader::new().unwrap();
        let socket = host.peer.try_clone().unwrap().into();
        let options = ipc::LaneOptions::guest(&reader);
        let lane = ipc::Lane::open(socket, options, std::sync::Arc::new(())).unwrap();
        let failure = ipc::RemoteFailure::new(component::Code::START_FAILED, "no module `x`");
        lane.fail_start(&failure).unwrap();
        assert_eq!(host.hear(), Heard::Failed("no module `x`".into()));
    });
}

#[test]
fn half_a_frame_and_then_the_end_is_a_crash() {
    watched(|| {
        for length in [1, 31, 33, 20_000] {
            let mut host = host();
            greet(&mut host);
            let head = Header { length: 50_000, ..Header::new(Kind::Reply, 1) };
            let mut bytes = head.encode().to_vec();
            bytes.resize(length.max(32), 0);
            host.peer.write_all(&bytes[..length]).unwrap();
            host.peer.shutdown(std::net::Shutdown::Write).unwrap();
            assert_eq!(host.hear_closed(), Closed::Eof);
        }
    });
}

#[test]
fn a_frame_in_single_bytes_is_a_frame() {
    watched(|| {
        let mut host = host();
        let body = Payload::serialize(&Hello::new("slow")).unwrap();
        let head =
            Header { length: u32::try_from(body.size()).unwrap(), ..Header::new(Kind::Hello, 0) };
        for byte in head.encode().iter().chain(body.bytes()) {
            host.peer.write_all(&[*byte]).unwrap();
        }
        assert_eq!(host.hear(), Heard::Hello("slow".into()));
    });
}

#[test]
fn an_end_is_noticed_soon_after_a_caller_left() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let lane = host.lane.clone();
        for _ in 0..20 {
            let caller = lane.clone();
            let call = std::thread::spawn(move || {
                caller.request("x", &inputs(1), &CallOptions::default()).unwrap()
            });
            let request = read_frame(&mut host.peer).unwrap();
            let reply = Header::new(Kind::Reply, request.header.correlation);
            write_frame(&mut host.peer, reply, &[0xc0]);
            call.join().unwrap();
        }
        host.peer.shutdown(std::net::Shutdown::Both).unwrap();
        let before = Instant::now();
        assert_eq!(host.hear_closed(), Closed::Eof);
        // Two ticks of 1 ms, with room for a busy machine.
        assert!(before.elapsed() < Duration::from_millis(500), "{:?}", before.elapsed());
    });
}

#[test]
fn a_flood_of_requests_is_answered_with_overloaded() {
    watched(|| {
        let (sender, held) = mpsc::channel();
        let sender = std::sync::Mutex::new(sender);
        let mut host = host_with(HostOptions {
            queue: 4,
            // Nothing is answered: the guest's requests pile up to its queue.
            answer: Some(Box::new(move |_, request| sender.lock().unwrap().send(request).unwrap())),
            ..HostOptions::default()
        });
        greet(&mut host);
        for correlation in 1..=10 {
            let header = Header::new(Kind::Request, correlation);
            write_frame(&mut host.peer, header, &[0x93, 0xa1, b'x', 0x00, 0x80]);
        }
        for correlation in 5..=10 {
            let answer = read_frame(&mut host.peer).unwrap();
            assert_eq!((answer.header.kind, answer.header.correlation), (Kind::Error, correlation));
        }
        for _ in 0..4 {
            held.recv_timeout(Duration::from_secs(10)).unwrap();
        }
        assert_eq!(host.lane.stats().serving, 4);
        assert_eq!(host.lane.closed(), None);
        let header = Header::new(Kind::Request, 1);
        write_frame(&mut host.peer, header, &[0x93, 0xa1, b'x', 0x00, 0x80]);
        assert_eq!(violation(&host), ProtocolError::Duplicate { correlation: 1 });
    });
}

#[test]
fn a_peer_that_floods_and_does_not_read_loses_its_lane_and_memory_stays_bounded() {
    watched(|| {
        let mut host = host_with(HostOptions { out_limit: 1 << 20, ..HostOptions::default() });
        greet(&mut host);
        let pings: Vec<u8> = (0..4096).flat_map(|_| Header::new(Kind::Ping, 0).encode()).collect();
        // Every ping makes a pong that nobody reads.
        while host.peer.write_all(&pings).is_ok() {}
        let ProtocolError::NotReading { queued } = violation(&host) else { panic!("another end") };
        assert!(queued <= (2 << 20) + 64, "{queued}");
        assert_eq!(host.lane.stats().queued_bytes, 0);
    });
}

#[test]
fn a_peer_that_reads_nothing_overloads_only_its_own_lane() {
    watched(|| {
        let mut host = host_with(HostOptions { out_limit: 1 << 20, ..HostOptions::default() });
        greet(&mut host);
        let big = Payload::from_value(&Value::from([("data", vec![1u8; 300_000])])).unwrap();
        let mut sent = 0;
        let error = loop {
            let options = CallOptions::default();
            match host.lane.submit("x", &big, &options, Box::new(|_| ())) {
                Ok(_) => sent += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, CallError::Overloaded { .. }), "{error}");
        assert!(host.lane.stats().queued_bytes <= 2 << 20);
        // Another lane is not concerned.
        let other = echoing(4);
        other.lane.request("echo", &inputs(1), &CallOptions::default()).unwrap();
        // What was taken arrives whole as soon as the peer reads.
        for _ in 0..sent {
            let frame = read_frame(&mut host.peer).unwrap();
            assert_eq!(&frame.payload[frame.payload.len() - big.size()..], big.bytes());
            // It takes one after the other.
            let answer = Header::new(Kind::Reply, frame.header.correlation);
            write_frame(&mut host.peer, answer, &[0xc0]);
        }
        assert_eq!(host.lane.stats().queued_bytes, 0);
    });
}

#[test]
fn items_beyond_the_credit_are_a_violation() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let items = host.lane.request_stream("s", &inputs(1), &CallOptions::default()).unwrap();
        let request = read_frame(&mut host.peer).unwrap();
        assert_eq!(request.header.flags & STREAM, STREAM);
        let correlation = request.header.correlation;
        for _ in 0..=64 {
            write_frame(&mut host.peer, Header::new(Kind::Item, correlation), &[0xc0]);
        }
        assert_eq!(violation(&host), ProtocolError::Credit { correlation });
        let last = items.last().unwrap();
        assert!(matches!(last, Err(CallError::Closed { .. })), "{last:?}");
    });
}

#[test]
fn bytes_of_items_beyond_the_credit_are_a_violation() {
    watched(|| {
        let mut host = host();
        greet(&mut host);
        let items = host.lane.request_stream("s", &inputs(1), &CallOptions::default()).unwrap();
        let correlation = read_frame(&mut host.peer).unwrap().header.correlation;
        let page = Payload::from_value(&Value::from(vec![0u8; 2 << 20])).unwrap();
        for _ in 0..3 {
            write_frame(&mut host.peer, Header::new(Kind::Item, correlation), page.bytes());
        }
        assert_eq!(violation(&host), ProtocolError::Credit { correlation });
        drop(items);
    });
}

#[test]
fn an_event_that_fits_no_frame_is_lost_for_guests_and_both_sides_are_told() {
    watched(|| {
        let bus = ipc::Bus::new().unwrap();
        let mut host = host();
        greet(&mut host);
        let topic = bus.topic("big");
        topic.subscribe_lane(&host.lane, ipc::Policy::DropOldest, 4).unwrap();
        let here = topic.subscribe(ipc::Policy::DropOldest, 4);
        let huge = Payload::from_value(&Value::from(vec![0u8; 64 << 20])).unwrap();
        assert_eq!(topic.publish(&huge), 1);
        assert!(here.try_recv().unwrap() == huge);
        assert_eq!(topic.publish(&inputs(1)), 0);
        let kinds = [(); 2].map(|()| read_frame(&mut host.peer).unwrap().header.kind);
        assert_eq!(kinds, [Kind::Publish, Kind::Dropped]);
        assert_eq!(host.lane.closed(), None);
    });
}

#[test]
fn a_guest_that_is_to_stop_is_not_ended_for_the_calls_that_waited_for_their_turn() {
    watched(|| {
        let mut host = host_with(HostOptions { out_limit: 1 << 20, ..HostOptions::default() });
        greet(&mut host);
        let (mut length, mut sent) = (300_000, 0);
        while length > 0 {
            let data = Value::from([("data", vec![1u8; length])]);
            let data = Payload::from_value(&data).unwrap();
            let options = CallOptions { caller: Some(CallerId::new()), ..CallOptions::default() };
            match host.lane.submit("x", &data, &options, Box::new(|_| ())) {
                Ok(_) => sent += 1,
                Err(_) => length /= 2,
            }
        }
        assert!(host.lane.stats().queued_bytes > (2 << 20) - 64, "{:?}", host.lane.stats());
        host.lane.stop().unwrap();
        for _ in 0..4 {
            host.lane.ping().unwrap();
        }
        assert_eq!(host.lane.closed(), None);
        for _ in 0..sent {
            assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Request);
        }
        assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Stop);
        for _ in 0..4 {
            assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Ping);
        }
    });
}

#[test]
fn calls_that_wait_for_their_turn_cost_no_event_its_place() {
    watched(|| {
        let bus = ipc::Bus::new().unwrap();
        let mut host = host_with(HostOptions { out_limit: 1 << 20, ..HostOptions::default() });
        greet(&mut host);
        let topic = bus.topic("news");
        topic.subscribe_lane(&host.lane, ipc::Policy::DropOldest, 64).unwrap();
        let long = Payload::from_value(&Value::from([("data", vec![1u8; 600_000])])).unwrap();
        let reading = host.peer.try_clone().unwrap();
        let reading = std::thread::spawn(move || {
            let mut reading = reading;
            read_frame(&mut reading).unwrap().header.kind
        });
        for _ in 0..3 {
            host.lane.submit("long", &long, &CallOptions::default(), Box::new(|_| ())).unwrap();
        }
        assert_eq!(reading.join().unwrap(), Kind::Request);
        // The peer works on the first call, and the two others wait for that. It reads no event for a moment.
        let news = Payload::from_value(&Value::from(vec![0u8; 20_000])).unwrap();
        let dropped: u64 = (0..40).map(|_| topic.publish(&news)).sum();
        assert_eq!(dropped, 0);
        for _ in 0..40 {
            assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Publish);
        }
    });
}

#[test]
fn a_slow_subscriber_loses_events_and_is_told_how_many() {
    watched(|| {
        let bus = ipc::Bus::new().unwrap();
        let mut host = host_with(HostOptions { out_limit: 1 << 20, ..HostOptions::default() });
        greet(&mut host);
        let topic = bus.topic("big");
        topic.subscribe_lane(&host.lane, ipc::Policy::DropOldest, 4).unwrap();
        let mut dropped = 0;
        let big = Payload::from_value(&Value::from(vec![0u8; 200_000])).unwrap();
        for _ in 0..20 {
            dropped += topic.publish(&big);
        }
        assert!(dropped > 0 && host.lane.stats().dropped == dropped);
        let mut arrived = 0;
        host.peer.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        while let Some(frame) = read_frame(&mut host.peer) {
            assert_eq!(frame.header.kind, Kind::Publish);
            arrived += 1;
        }
        assert_eq!(arrived + dropped, 20);
        topic.publish(&Payload::none());
        assert_eq!(read_frame(&mut host.peer).unwrap().header.kind, Kind::Publish);
        let told = read_frame(&mut host.peer).unwrap();
        assert_eq!(told.header.kind, Kind::Dropped);
        let told: (String, u64) = Payload::new(told.payload).unwrap().deserialize().unwrap();
        assert_eq!(told, ("big".to_owned(), dropped));
    });
}

#[test]
fn a_handler_that_panics_does_not_end_the_background_thread() {
    watched(|| {
        let host = echoing(4);
        let options = CallOptions::default();
        host.lane.submit("echo", &inputs(1), &options, Box::new(|_| panic!("mine"))).unwrap();
        let (sender, answer) = mpsc::channel();
        let done = Box::new(move |result| sender.send(result).unwrap());
        host.lane.submit("echo", &inputs(2), &options, done).unwrap();
        assert_eq!(answer.recv_timeout(Duration::from_secs(10)), Ok(Ok(inputs(2))));
    });
}

#[test]
fn a_guest_that_is_asked_to_stop_serves_what_it_has_and_ends() {
    watched(|| {
        let mut host = host();
        let (spare, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = std::mem::replace(&mut host.peer, spare);
        let served = std::thread::spawn(move || {
            let reader = Reader::new().unwrap();
            let lane = guest(peer, &reader);
            while let Some(request) = lane.next_request(None, None).unwrap() {
                lane.reply(request.correlation, Ok(request.inputs)).unwrap();
            }
            assert!(lane.stop_requested());
            lane.stopped().unwrap();
        });
        host.wait_ready();
        host.lane.request("echo", &inputs(1), &CallOptions::default()).unwrap();
        host.lane.stop().unwrap();
        assert_eq!(host.hear(), Heard::Stopped);
        assert_eq!(host.hear_closed(), Closed::Eof);
        served.join().unwrap();
    });
}

#[test]
fn published_values_arrive_in_order() {
    watched(|| {
        let mut host = host();
        let (spare, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = std::mem::replace(&mut host.peer, spare);
        let reader = Reader::new().unwrap();
        let lane = guest(peer, &reader);
        for number in 0..500 {
            lane.publish("t", &Payload::from_value(&Value::Int(number)).unwrap()).unwrap();
        }
        host.wait_ready();
        for number in 0..500 {
            assert_eq!(host.hear(), Heard::Publish("t".into(), Value::Int(number)));
        }
    });
}

/// Pings and looks for so long; the longest silence that was seen.
fn longest_silence(lane: &ipc::Lane, looks: Duration) -> Duration {
    lane.ping().unwrap();
    let end = Instant::now() + looks;
    let mut longest = Duration::ZERO;
    while Instant::now() < end {
        longest = longest.max(lane.silence().unwrap_or_default());
        std::thread::sleep(Duration::from_millis(20));
    }
    longest
}

#[test]
fn a_peer_is_silent_only_while_somebody_listens() {
    watched(|| {
        let host = echoing(4);
        let options = CallOptions::default();
        let (free, until_free) = mpsc::channel::<()>();
        let (tell, holds) = mpsc::channel();
        let hold = Box::new(move |_| {
            tell.send(()).unwrap();
            until_free.recv().unwrap();
        });
        // Its answer is told on the thread that reads, which is then kept from reading.
        host.lane.submit("echo", &inputs(1), &options, hold).unwrap();
        holds.recv().unwrap();
        let seen = longest_silence(&host.lane, Duration::from_millis(600));
        assert!(seen < Duration::from_millis(300), "{seen:?} though its answer lies here");
        free.send(()).unwrap();
        while host.lane.silence().is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let mut host = host_with(HostOptions::default());
        greet(&mut host);
        let seen = longest_silence(&host.lane, Duration::from_millis(600));
        assert!(seen > Duration::from_millis(400), "{seen:?} of a peer that says nothing");
    });
}
