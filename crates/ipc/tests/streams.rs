//! Streams between lanes: readers that wait and readers that are told, closing from elsewhere, credit, time.
#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use ipc::{
    Bus, CallError, CallOptions, Items, Lane, LaneOptions, Next, Payload, Policy, ReceiveError,
    Resume, Value,
};
use support::{Heard, Host, guest, host, host_with, inputs, watched};

const WINDOW: u64 = 64;

fn number(value: u64) -> Payload {
    Payload::from_value(&Value::from(i64::try_from(value).unwrap())).unwrap()
}

/// A guest's end that serves what the test does by hand.
fn pair() -> (Host, Lane, ipc::Reader) {
    let mut host = host();
    let (spare, _) = UnixStream::pair().unwrap();
    let peer = std::mem::replace(&mut host.peer, spare);
    let reader = ipc::Reader::new().unwrap();
    let lane = guest(peer, &reader);
    host.wait_ready();
    (host, lane, reader)
}

fn begin(host: &Host, guest: &Lane) -> (Items, u64) {
    begin_with(host, guest, &CallOptions::default())
}

fn begin_with(host: &Host, guest: &Lane, options: &CallOptions) -> (Items, u64) {
    let items = host.lane.request_stream("s", &inputs(1), options).unwrap();
    let Some(Next::Request(request)) = guest.next_event(None, None).unwrap() else { panic!() };
    assert!(request.stream);
    (items, request.correlation)
}

fn hook(tell: &mpsc::Sender<()>) -> ipc::Hook {
    let tell = tell.clone();
    Box::new(move || tell.send(()).unwrap())
}

#[test]
fn a_reader_that_is_told_gets_every_item_and_the_end() {
    watched(|| {
        let (host, lane, _reader) = pair();
        let (items, correlation) = begin(&host, &lane);
        let sender = std::thread::spawn(move || {
            for value in 0..500 {
                lane.item(correlation, &number(value), None).unwrap();
            }
            lane.end(correlation).unwrap();
            lane
        });
        let (tell, told) = mpsc::channel();
        let mut got = 0;
        loop {
            match items.try_next() {
                Some(next) => match next.unwrap() {
                    Some(item) => {
                        assert_eq!(item, number(got));
                        got += 1;
                    }
                    None => break,
                },
                None if items.watch(1, hook(&tell)) => {
                    told.recv_timeout(Duration::from_secs(20)).unwrap();
                }
                None => {}
            }
        }
        assert_eq!(got, 500);
        assert!(!items.watch(1, hook(&tell)), "an ended stream is worth looking at");
        sender.join().unwrap();
    });
}

#[test]
fn a_hook_that_was_taken_back_is_not_called_and_one_of_its_key_gives_way() {
    watched(|| {
        let (host, lane, _reader) = pair();
        let (items, correlation) = begin(&host, &lane);
        let (first, hears_first) = mpsc::channel();
        let (second, hears_second) = mpsc::channel();
        assert!(items.watch(1, hook(&first)));
        items.unwatch(1);
        assert!(items.watch(2, hook(&first)));
        assert!(items.watch(2, hook(&second)));
        lane.item(correlation, &number(7), None).unwrap();
        hears_second.recv_timeout(Duration::from_secs(20)).unwrap();
        assert!(hears_first.try_recv().is_err());
    });
}

#[test]
fn closing_does_not_wait_for_the_reader_and_ends_its_wait() {
    watched(|| {
        let (host, lane, _reader) = pair();
        let (items, correlation) = begin(&host, &lane);
        let items = Arc::new(items);
        let reading = Arc::clone(&items);
        let reader = std::thread::spawn(move || reading.next_item(None));
        std::thread::sleep(Duration::from_millis(50));
        items.close();
        assert_eq!(reader.join().unwrap().unwrap(), None);
        // The other side is told.
        while !lane.is_cancelled(correlation) {
            let _ = lane.next_event(Some(Duration::from_millis(5)), None).unwrap();
        }
        assert!(matches!(lane.has_room(correlation, Resume::Server), Err(CallError::Cancelled)));
    });
}

#[test]
fn a_poll_hook_may_close_the_stream_that_it_waits_for() {
    watched(|| {
        let (host, lane, _reader) = pair();
        let (items, _) = begin(&host, &lane);
        let closing = || {
            items.close();
            false
        };
        assert_eq!(items.next_item(Some(&closing)).unwrap(), None);
    });
}

#[test]
fn a_stream_without_credit_holds_nobody_and_is_told_when_it_may_go_on() {
    watched(|| {
        let (host, lane, _reader) = pair();
        let (items, correlation) = begin(&host, &lane);
        for value in 0..WINDOW {
            assert!(lane.has_room(correlation, Resume::Server).unwrap());
            lane.item(correlation, &number(value), None).unwrap();
        }
        assert!(!lane.has_room(correlation, Resume::Server).unwrap());
        // The same thread serves another request meanwhile.
        let other = host.lane.clone();
        let caller =
            std::thread::spawn(move || other.request("x", &inputs(2), &CallOptions::default()));
        let Some(Next::Request(request)) = lane.next_event(None, None).unwrap() else { panic!() };
        lane.reply(request.correlation, Ok(request.inputs)).unwrap();
        assert_eq!(caller.join().unwrap().unwrap(), inputs(2));
        // Half of the window is read: it may go on.
        for value in 0..WINDOW / 2 {
            assert_eq!(items.next_item(None).unwrap().unwrap(), number(value));
        }
        let Some(Next::Resumed(resumed)) = lane.next_event(None, None).unwrap() else { panic!() };
        assert_eq!(resumed, correlation);
        assert!(lane.has_room(correlation, Resume::Server).unwrap());
    });
}

#[test]
fn whoever_waits_for_room_hears_of_credit_of_a_cancel_and_of_the_end() {
    watched(|| {
        for ending in ["credit", "cancel", "close"] {
            let (host, lane, _reader) = pair();
            let (items, correlation) = begin(&host, &lane);
            for value in 0..WINDOW {
                lane.item(correlation, &number(value), None).unwrap();
            }
            let (tell, told) = mpsc::channel();
            assert!(!lane.has_room(correlation, Resume::Hook(hook(&tell))).unwrap());
            assert!(told.recv_timeout(Duration::from_millis(20)).is_err());
            match ending {
                "credit" => {
                    for _ in 0..WINDOW / 2 {
                        items.next_item(None).unwrap().unwrap();
                    }
                }
                "cancel" => items.close(),
                _ => host.lane.close(),
            }
            told.recv_timeout(Duration::from_secs(20)).unwrap();
            let room = lane.has_room(correlation, Resume::Server);
            assert_eq!(room.is_ok(), ending == "credit", "{ending}: {room:?}");
        }
    });
}

#[test]
fn a_stream_that_nobody_reads_is_ended_and_its_reader_told() {
    watched(|| {
        let reader = ipc::Reader::new().unwrap();
        let (ours, peer) = UnixStream::pair().unwrap();
        let patience = Duration::from_millis(150);
        let options = LaneOptions { patience, ..LaneOptions::host("peer", 16, &reader) };
        let bare = host_with(support::HostOptions::default());
        let host = Host {
            lane: Lane::open(OwnedFd::from(ours), options, Arc::new(Welcoming)).unwrap(),
            ..bare
        };
        let guests = ipc::Reader::new().unwrap();
        let lane = guest(peer, &guests);
        while !host.lane.is_ready() {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (items, correlation) = begin(&host, &lane);
        for value in 0..3 {
            lane.item(correlation, &number(value), None).unwrap();
        }
        // As long as it is read, however slowly, it goes on.
        let begun = Instant::now();
        for value in 0..2 {
            std::thread::sleep(patience / 2);
            assert_eq!(items.next_item(None).unwrap().unwrap(), number(value));
        }
        assert!(begun.elapsed() >= patience);
        while !lane.is_cancelled(correlation) {
            let _ = lane.next_event(Some(Duration::from_millis(5)), None).unwrap();
        }
        // What came before is still there, and after it the reason.
        assert_eq!(items.next_item(None).unwrap().unwrap(), number(2));
        let error = items.next_item(None).unwrap_err();
        assert!(matches!(error, CallError::Unread { .. }), "{error}");
        assert_eq!(items.next_item(None).unwrap(), None);
    });
}

#[test]
fn the_deadline_of_a_stream_holds_also_while_nobody_waits_for_it() {
    watched(|| {
        let (host, lane, _reader) = pair();
        let options = CallOptions::within(Duration::from_millis(100));
        let (items, correlation) = begin_with(&host, &lane, &options);
        lane.item(correlation, &number(1), None).unwrap();
        while !lane.is_cancelled(correlation) {
            let _ = lane.next_event(Some(Duration::from_millis(5)), None).unwrap();
        }
        let (tell, _told) = mpsc::channel();
        assert_eq!(items.next_item(None).unwrap().unwrap(), number(1));
        while items.watch(1, hook(&tell)) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let error = items.try_next().unwrap().unwrap_err();
        assert!(matches!(error, CallError::TimedOut { .. }), "{error}");
    });
}

#[test]
fn a_subscription_tells_whoever_watches_of_values_and_of_its_end() {
    let bus = Bus::new().unwrap();
    let topic = bus.topic("t");
    let subscription = topic.subscribe(Policy::DropOldest, 8);
    let (tell, told) = mpsc::channel();
    assert!(subscription.watch(1, hook(&tell)));
    topic.publish(&number(1));
    topic.publish(&number(2));
    assert_eq!(told.try_iter().count(), 1, "a hook is called once");
    assert!(!subscription.watch(1, hook(&tell)));
    assert_eq!(subscription.try_recv().unwrap(), number(1));
    assert_eq!(subscription.try_recv().unwrap(), number(2));
    assert_eq!(subscription.try_recv().unwrap_err(), ReceiveError::TimedOut);
    assert!(subscription.watch(1, hook(&tell)));
    bus.close();
    assert_eq!(told.try_iter().count(), 1);
    assert_eq!(subscription.try_recv().unwrap_err(), ReceiveError::Closed);
    assert!(!subscription.watch(1, hook(&tell)));
}

/// An owner that takes every guest.
struct Welcoming;

impl ipc::Inbound for Welcoming {
    fn hello(&self, _: ipc::Hello) -> Result<ipc::Welcome, ipc::Refused> {
        Ok(ipc::Welcome::new(16))
    }
}

#[test]
fn the_host_hears_of_a_guest_that_ends_in_the_middle() {
    watched(|| {
        let (host, lane, _reader) = pair();
        let (items, correlation) = begin(&host, &lane);
        let (tell, told) = mpsc::channel();
        lane.item(correlation, &number(1), None).unwrap();
        lane.close();
        assert!(matches!(host.hear(), Heard::Closed(_)));
        assert_eq!(items.next_item(None).unwrap().unwrap(), number(1));
        assert!(!items.watch(1, hook(&tell)));
        assert!(matches!(items.try_next(), Some(Err(CallError::Closed { .. }))));
        assert!(told.try_recv().is_err());
    });
}

#[test]
fn an_item_that_fits_no_frame_ends_its_stream_alone() {
    watched(|| {
        let (host, lane, _reader) = pair();
        let (items, correlation) = begin(&host, &lane);
        let (others, other) = begin(&host, &lane);
        let huge = Payload::from_value(&Value::from(vec![0u8; 64 << 20])).unwrap();
        lane.item(correlation, &number(1), None).unwrap();
        let refused = lane.item(correlation, &huge, None).unwrap_err();
        assert!(matches!(refused, CallError::TooLarge { .. }), "{refused}");
        // Whoever goes on all the same says no more of it.
        assert_eq!(lane.item(correlation, &number(2), None), Err(CallError::Cancelled));
        lane.end(correlation).unwrap();
        lane.item(other, &number(3), None).unwrap();
        lane.end(other).unwrap();
        assert_eq!(items.next_item(None).unwrap().unwrap(), number(1));
        let Err(CallError::Remote(failure)) = items.next_item(None) else { panic!() };
        assert_eq!(failure.code, "invalid-value");
        let (length, limit) = (huge.size().to_string(), (64 << 20).to_string());
        assert!(failure.message.contains(&length) && failure.message.contains(&limit), "{failure}");
        assert_eq!(others.map(Result::unwrap).collect::<Vec<_>>(), [number(3)]);
    });
}

fn page(length: usize) -> Payload {
    Payload::from_value(&Value::from(vec![7u8; length])).unwrap()
}

#[test]
fn a_stream_of_large_items_waits_for_its_reader_by_bytes() {
    watched(|| {
        let (host, lane, _reader) = pair();
        let (items, correlation) = begin(&host, &lane);
        for _ in 0..2 {
            assert!(lane.has_room(correlation, Resume::Server).unwrap());
            lane.item(correlation, &page(3 << 20), None).unwrap();
        }
        assert!(!lane.has_room(correlation, Resume::Server).unwrap());
        assert!(items.next_item(None).unwrap().unwrap() == page(3 << 20));
        let Some(Next::Resumed(resumed)) = lane.next_event(None, None).unwrap() else { panic!() };
        assert_eq!(resumed, correlation);
        assert!(lane.has_room(correlation, Resume::Server).unwrap());
    });
}

#[test]
fn items_of_all_lengths_come_through_whoever_waits_for_whom() {
    watched(|| {
        let (host, lane, _reader) = pair();
        let (items, correlation) = begin(&host, &lane);
        let lengths = [1 << 20, 8 << 20, 10, (4 << 20) - 7, 1, (2 << 20) - 9, 1, 3 << 20];
        let sender = std::thread::spawn(move || {
            for length in lengths.into_iter().cycle().take(40) {
                lane.item(correlation, &page(length), None).unwrap();
            }
            lane.end(correlation).unwrap();
            lane
        });
        let came: Vec<_> = items.map(|item| item.unwrap().size()).collect();
        let sent = lengths.into_iter().cycle().take(40).map(|length| page(length).size());
        assert!(came.into_iter().eq(sent));
        sender.join().unwrap();
    });
}
