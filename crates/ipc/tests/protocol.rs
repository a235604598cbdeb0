//! `docs/protocol.md` against the code: its tables name the kinds and limits that exist, and its example is replayed
//! against a real lane, byte by byte.
#![allow(clippy::unwrap_used, reason = "helpers of a test")]

mod support;

use std::fmt::Write as _;
use std::io::{Read, Write};

use ipc::{CallOptions, Closed, Kind, MAX_DEPTH, MAX_LENGTH, MAX_VALUES, Payload, Value};
use support::{HostOptions, host_with, watched};

fn page() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/protocol.md");
    std::fs::read_to_string(path).unwrap()
}

/// The frames of the page's example: who sends each, and its bytes.
fn example() -> Vec<(char, Vec<u8>)> {
    let page = page();
    let block = page.split("```hex\n").nth(1).unwrap().split("```").next().unwrap();
    let mut frames: Vec<(char, Vec<u8>)> = Vec::new();
    for line in block.lines() {
        let line = line.split('#').next().unwrap();
        let (who, bytes) = line.split_at(1.min(line.len()));
        if let Some(who) = who.chars().next().filter(|who| *who != ' ') {
            frames.push((who, Vec::new()));
        }
        let bytes = bytes.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap());
        if let Some((_, frame)) = frames.last_mut() {
            frame.extend(bytes);
        }
    }
    frames
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x} ");
        text
    })
}

#[test]
fn the_page_names_every_kind_and_limit() {
    let page = page();
    for kind in Kind::ALL {
        let row = format!("| {} | {} |", *kind as u8, kind);
        assert!(page.contains(&row), "{row}");
    }
    assert!(page.contains(&format!("at most {MAX_LENGTH} ")));
    assert!(page.contains(&format!("At most {MAX_DEPTH} arrays")));
    assert!(page.contains(&format!("at most {MAX_VALUES} single values")));
}

#[test]
fn the_example_is_what_goes_over_the_lane() {
    watched(|| {
        let mut host = host_with(HostOptions { queue: 256, ..HostOptions::default() });
        let lane = host.lane.clone();
        let mut caller = None;
        let mut kinds = Vec::new();
        for (who, bytes) in example() {
            let kind = Kind::from_number(bytes[3]).unwrap();
            kinds.push(kind);
            if who == 'G' {
                host.peer.write_all(&bytes).unwrap();
                if kind == Kind::Ready {
                    host.wait_ready();
                }
                if kind == Kind::Pong {
                    let lane = lane.clone();
                    caller = Some(std::thread::spawn(move || {
                        let inputs = Value::from([("text", "hi")]);
                        let inputs = Payload::from_value(&inputs).unwrap();
                        lane.request("echo", &inputs, &CallOptions::default())
                    }));
                }
                continue;
            }
            if kind == Kind::Stop {
                let answer = caller.take().unwrap().join().unwrap().unwrap();
                assert_eq!(answer.value(), Ok(Value::from("hi")));
                lane.stop().unwrap();
            }
            if kind == Kind::Ping {
                lane.ping().unwrap();
            }
            let mut found = vec![0; bytes.len()];
            host.peer.read_exact(&mut found).unwrap();
            assert_eq!(hex(&found), hex(&bytes), "{kind}");
        }
        assert_eq!(host.hear(), support::Heard::Stopped);
        host.peer.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(host.hear_closed(), Closed::Eof);
        let expected = [
            Kind::Hello,
            Kind::Welcome,
            Kind::Ready,
            Kind::Ping,
            Kind::Pong,
            Kind::Request,
            Kind::Reply,
            Kind::Stop,
            Kind::Stopped,
        ];
        assert_eq!(kinds, expected);
    });
}
