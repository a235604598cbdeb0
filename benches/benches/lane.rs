//! A blocking 64-byte round trip to another process: over a lane, and over a bare blocking Unix socket.
//!
//! This program starts itself again as the peer. Both processes are pinned: to one CPU, or to one each, because the
//! placement decides more than anything else.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use criterion::Criterion;
use ipc::{
    CallOptions, Hello, Inbound, LANE_VARIABLE, Lane, LaneOptions, Payload, Reader, Refused, Value,
    Welcome,
};
use rustix::thread::{CpuSet, sched_setaffinity};

const PEER: &str = "SYMPHONY_BENCH_PEER";
const CPU: &str = "SYMPHONY_BENCH_CPU";

type Fault = Box<dyn std::error::Error>;

fn pin(cpu: usize) -> Result<(), Fault> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// The peer: echoes until its socket ends.
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn peer(kind: &str) -> Result<(), Fault> {
    pin(std::env::var(CPU)?.parse()?)?;
    let socket = ipc::inherited(std::env::var(LANE_VARIABLE)?.parse()?)?;
    if kind == "raw" {
        let mut socket = UnixStream::from(socket);
        let mut buffer = [0; 64];
        while socket.read_exact(&mut buffer).is_ok() {
            socket.write_all(&buffer)?;
        }
        return Ok(());
    }
    let reader = Reader::new()?;
    let lane = Lane::open(socket, LaneOptions::guest(&reader), Arc::new(()))?;
    lane.hello(&Hello::new("peer"), Duration::from_secs(10))?;
    lane.ready()?;
    while let Ok(Some(request)) = lane.next_request(None, None) {
        lane.reply(request.correlation, Ok(request.inputs))?;
    }
    Ok(())
}

fn start(kind: &str, cpu: usize) -> Result<(UnixStream, Child), Fault> {
    let (ours, theirs) = UnixStream::pair()?;
    let theirs = OwnedFd::from(theirs);
    rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty())?;
    let child = Command::new(std::env::current_exe()?)
        .env(PEER, kind)
        .env(CPU, cpu.to_string())
        .env(LANE_VARIABLE, theirs.as_raw_fd().to_string())
        .spawn()?;
    Ok((ours, child))
}

struct Owner(mpsc::SyncSender<()>);

impl Inbound for Owner {
    fn hello(&self, _: Hello) -> Result<Welcome, Refused> {
        Ok(Welcome::new(256))
    }

    fn ready(&self) {
        let _ = self.0.send(());
    }
}

fn measure(criterion: &mut Criterion, place: &str, cpu: usize) -> Result<(), Fault> {
    let (mut socket, mut child) = start("raw", cpu)?;
    let sent = [7; 64];
    let mut back = [0; 64];
    criterion.bench_function(&format!("round_trip_64/{place}/unix_socket"), |bench| {
        bench.iter(|| socket.write_all(&sent).and_then(|()| socket.read_exact(&mut back)));
    });
    drop(socket);
    child.wait()?;

    let (socket, mut child) = start("lane", cpu)?;
    let reader = Reader::new()?;
    let (sender, ready) = mpsc::sync_channel(1);
    let options = LaneOptions::host("peer", 256, &reader);
    let lane = Lane::open(OwnedFd::from(socket), options, Arc::new(Owner(sender)))?;
    ready.recv_timeout(Duration::from_secs(10))?;
    let inputs = Payload::from_value(&Value::from([("data", vec![7_u8; 56])]))?;
    let options = CallOptions::default();
    criterion.bench_function(&format!("round_trip_64/{place}/lane"), |bench| {
        bench.iter(|| lane.request("echo", &inputs, &options));
    });
    lane.close();
    child.wait()?;
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn main() -> Result<(), Fault> {
    if let Ok(kind) = std::env::var(PEER) {
        return peer(&kind);
    }
    let two = std::thread::available_parallelism()?.get() > 1;
    pin(0)?;
    let mut criterion = Criterion::default().configure_from_args();
    measure(&mut criterion, "same_cpu", 0)?;
    if two {
        measure(&mut criterion, "across", 1)?;
    }
    criterion.final_summary();
    Ok(())
}
