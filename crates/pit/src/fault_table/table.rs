//! Every fault at every call of the file layer in the life of [`super::history`], and the table of what held.
//!
//! A fault is planned for the whole process, so lives with faults run in processes of their own, which are this program
//! again. A short selection runs with the other tests; `SYMPHONY_FAULTS=all`, as `make soak` has it, takes every call,
//! lasting faults, delays of 2 s, and `strace` as a check that the calls are those of the system.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::history::{LIFE, Members, Step, Told};
use crate::Durability;
use crate::disk::faults::{self, Call, Fault, FaultAt};

const ASKED: &str = "PIT_FAULTS";
const CHILD: &str = "fault_table::table::a_life_in_a_process_of_its_own";
const DURABILITIES: [(&str, Durability); 2] =
    [("process", Durability::Process), ("power", Durability::Power)];
/// Longer than any life.
const PATIENCE: Duration = Duration::from_secs(300);

/// The step under way, for the table: the index's thread writes while the caller does something else.
static UNDER_WAY: AtomicUsize = AtomicUsize::new(0);

/// What a process is asked to live through.
#[derive(Debug, Clone, Copy)]
struct Asked<'a> {
    durability: &'a str,
    fault: &'a str,
    lasting: bool,
    /// At these calls, each in a life of its own.
    from: u64,
    to: u64,
    every: u64,
}

/// A row of the table: what was asked of which member, and which call was struck.
type Row = (String, Call);

#[derive(Default)]
struct Table {
    /// How often each fault struck, and in how many of the lives all held.
    cells: BTreeMap<Row, BTreeMap<String, (usize, usize)>>,
    lost: Vec<String>,
}

fn fault_of(word: &str) -> Option<Fault> {
    Some(match word {
        "EIO" => Fault::Io,
        "ENOSPC" => Fault::NoSpace,
        "EMFILE" => Fault::NoDescriptor,
        "kill" => Fault::Kill,
        "late" => Fault::Late(Duration::from_millis(2)),
        "2s" => Fault::Late(Duration::from_secs(2)),
        _ => return None,
    })
}

fn durability_of(word: &str) -> Durability {
    DURABILITIES.iter().find(|(known, _)| *known == word).expect("a durability").1
}

fn name_of(step: Step) -> String {
    let text = format!("{step:?}");
    text.split('(').next().unwrap_or_default().to_owned()
}

/// What a flush costs is none of what is looked at here.
fn folder_in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// Lives the life in a folder, and tells each step before and after it.
fn live(members: &mut Members, told: &mut Told, tell: &dyn Fn(&str)) -> Result<(), String> {
    for (at, step) in LIFE.iter().enumerate() {
        UNDER_WAY.store(at, Ordering::Relaxed);
        tell(&format!("begins {at}"));
        told.begins(*step);
        match members.perform(*step, told).map_err(|wrong| format!("{step:?}: {wrong}"))? {
            Ok(detail) => {
                told.acknowledged(*step, detail);
                tell(&format!("done {at} {detail}"));
            }
            Err(error) => tell(&format!("failed {at} {error}")),
        }
    }
    Ok(())
}

/// A life with a fault, looked at while it is there and after the next open.
fn life_with(plan: FaultAt, durability: Durability) -> (Option<Row>, Result<(), String>) {
    let folder = folder_in_memory();
    let mut members = Members::new(folder.path(), durability);
    let mut told = Told::default();
    faults::plan(Some(plan));
    let struck_in = Mutex::new(None);
    let note = |_: &str| {
        if let Some(call) = faults::struck() {
            let step = LIFE[UNDER_WAY.load(Ordering::Relaxed)];
            struck_in.lock().expect("no panic").get_or_insert((name_of(step), call));
        }
    };
    let lived = live(&mut members, &mut told, &note);
    let struck = faults::end();
    let held = lived
        .and_then(|()| told.held_against(&mut members).map_err(|wrong| format!("live: {wrong}")))
        .and_then(|()| {
            drop(members);
            let mut members = Members::new(folder.path(), durability);
            told.held_against(&mut members).map_err(|wrong| format!("at the next open: {wrong}"))
        });
    let row = struck_in.into_inner().expect("no panic");
    (row.or(struck.map(|call| ("Late".to_owned(), call))), held)
}

/// Nothing when it is run as a test. A line that begins with `@` is for whoever asked.
#[test]
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn a_life_in_a_process_of_its_own() {
    let Ok(asked) = std::env::var(ASKED) else { return };
    thread::spawn(|| {
        thread::sleep(PATIENCE);
        println!("\n@hangs in step {:?}", LIFE[UNDER_WAY.load(Ordering::Relaxed)]);
        std::process::exit(99);
    });
    let words: Vec<&str> = asked.split(' ').collect();
    let [mode, durability, fault, lasting, from, to, every, folder] = words[..] else {
        unreachable!("eight words")
    };
    let number = |word: &str| word.parse::<u64>().expect("a number");
    let lasting = lasting == "lasting";
    let planned = |number| fault_of(fault).map(|fault| FaultAt { fault, number, lasting });
    if mode == "life" {
        let mut members = Members::new(Path::new(folder), durability_of(durability));
        faults::plan(planned(number(from)));
        let lived = live(&mut members, &mut Told::default(), &|line| println!("\n@{line}"));
        println!("\n@calls {}", faults::seen());
        lived.expect("nothing wrong is answered");
        return;
    }
    let mut at = number(from);
    while at < number(to) {
        let plan = planned(at).expect("a fault");
        let (row, held) = life_with(plan, durability_of(durability));
        if let Some((step, call)) = row {
            match held {
                Ok(()) => println!("\n@held {step} {call:?}"),
                Err(wrong) => println!("\n@lost {step} {call:?} call {at}: {wrong}"),
            }
        } else if let Err(wrong) = held {
            println!("\n@lost Nowhere Open call {at}: {wrong}");
        }
        at += number(every);
    }
}

fn command(mode: &str, asked: Asked<'_>, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    let Asked { durability, fault, lasting, from, to, every } = asked;
    let lasting = if lasting { "lasting" } else { "once" };
    let folder = folder.display();
    let words = format!("{mode} {durability} {fault} {lasting} {from} {to} {every} {folder}");
    command.args(["--exact", CHILD, "--nocapture", "--quiet"]).env(ASKED, words);
    command.stderr(Stdio::piped());
    command
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter_map(|line| line.strip_prefix('@')).map(str::to_owned).collect()
}

impl Table {
    fn merge(&mut self, other: Self) {
        for (row, faults) in other.cells {
            let cells = self.cells.entry(row).or_default();
            for (fault, (struck, held)) in faults {
                let cell = cells.entry(fault).or_default();
                *cell = (cell.0 + struck, cell.1 + held);
            }
        }
        self.lost.extend(other.lost);
    }

    fn add(&mut self, row: &Row, fault: &str, held: Result<(), String>) {
        let cell = self.cells.entry(row.clone()).or_default().entry(fault.to_owned()).or_default();
        cell.0 += 1;
        match held {
            Ok(()) => cell.1 += 1,
            Err(wrong) => self.lost.push(format!("{fault} in {} at {:?}: {wrong}", row.0, row.1)),
        }
    }

    /// Lives of one process, one after another.
    fn take(&mut self, asked: Asked<'_>) {
        let output = command("cells", asked, Path::new("-")).output().expect("a process");
        let told = lines(&output);
        let fault = format!("{}{}", asked.fault, if asked.lasting { "+" } else { "" });
        for line in &told {
            let mut words = line.splitn(4, ' ');
            let (kind, step) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            let Some(call) = words.next().and_then(call_of) else { continue };
            let rest = format!("{} {}", asked.durability, words.next().unwrap_or_default());
            let held = if kind == "held" { Ok(()) } else { Err(rest) };
            self.add(&(step.to_owned(), call), &fault, held);
        }
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            self.lost.push(format!("{asked:?}: {}: {words} {:?}", output.status, told.last()));
        }
    }

    /// A life that is killed, looked at from here.
    fn take_killed(&mut self, asked: Asked<'_>) {
        let folder = folder_in_memory();
        let output = command("life", asked, folder.path()).output().expect("a process");
        let (row, held) = after_a_life(&output, folder.path(), asked.durability);
        if output.status.success() {
            // It had ended before that call.
            return;
        }
        let held =
            held.map_err(|wrong| format!("{} call {}: {wrong}", asked.durability, asked.from));
        self.add(&(row, Call::Any), asked.fault, held);
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for ((step, call), faults) in &self.cells {
            let _ = write!(text, "{step:<20} {call:<12?}");
            for (fault, (struck, held)) in faults {
                let _ = write!(text, " {fault} {held}/{struck}");
            }
            text.push('\n');
        }
        text
    }
}

fn call_of(word: &str) -> Option<Call> {
    Call::ALL.into_iter().find(|call| format!("{call:?}") == word)
}

/// What a process told before its end, held against what it left. Answers the step in which it ended too.
fn after_a_life(output: &Output, folder: &Path, durability: &str) -> (String, Result<(), String>) {
    let mut told = Told::default();
    let mut last = "Nowhere".to_owned();
    for line in lines(output) {
        let mut words = line.split(' ');
        let kind = words.next();
        let Some(at) = words.next().and_then(|word| word.parse::<usize>().ok()) else { continue };
        match kind {
            Some("begins") => {
                last = name_of(LIFE[at]);
                told.begins(LIFE[at]);
            }
            Some("done") => {
                let detail = words.next().and_then(|word| word.parse().ok()).unwrap_or(0);
                told.acknowledged(LIFE[at], detail);
            }
            _ => {}
        }
    }
    let mut members = Members::new(folder, durability_of(durability));
    (last, told.held_against(&mut members))
}

/// How many calls a life makes.
fn calls(durability: &str) -> u64 {
    let folder = folder_in_memory();
    let asked = Asked { durability, fault: "none", lasting: false, from: 0, to: 1, every: 1 };
    let output = command("life", asked, folder.path()).output().expect("a process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = lines(&output);
    assert!(!told.iter().any(|line| line.starts_with("failed")), "{told:?}");
    after_a_life(&output, folder.path(), durability).1.expect("nothing is lost without a fault");
    let count = told.iter().find_map(|line| line.strip_prefix("calls "));
    count.and_then(|count| count.parse().ok()).expect("a number of calls")
}

/// Different calls with each durability, so that the short selection meets more of them.
fn table_of(durability: &str, all: bool) -> Table {
    let mut table = Table::default();
    let calls = calls(durability);
    assert!(calls > 80, "the file layer is gone around: {calls} calls");
    let asked = |fault, lasting, seldom: u64| {
        let every = if all { 1 } else { seldom };
        let from = if durability == "power" { every / 2 } else { 0 };
        Asked { durability, fault, lasting, from, to: calls, every }
    };
    for fault in ["EIO", "ENOSPC", "EMFILE", "late"] {
        table.take(asked(fault, false, 10));
    }
    for fault in ["EIO", "ENOSPC", "EMFILE"] {
        table.take(asked(fault, true, 40));
    }
    let kills = asked("kill", false, 16);
    let mut at = kills.from;
    while at < calls {
        table.take_killed(Asked { from: at, to: at + 1, ..kills });
        at += kills.every;
    }
    if all {
        table.take(Asked { every: 4, ..asked("2s", false, 4) });
        table.take_under_strace(durability);
    }
    table
}

#[test]
#[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
fn no_fault_at_any_call_loses_or_falsifies_what_was_acknowledged() {
    let all = std::env::var("SYMPHONY_FAULTS").is_ok_and(|word| word == "all");
    let mut table = Table::default();
    thread::scope(|scope| {
        let both =
            DURABILITIES.map(|(durability, _)| scope.spawn(move || table_of(durability, all)));
        for part in both {
            table.merge(part.join().expect("no panic"));
        }
    });
    println!("{}", table.text());
    let struck: usize = table.cells.values().flat_map(BTreeMap::values).map(|cell| cell.0).sum();
    println!("{struck} faults struck, {} lives lost something", table.lost.len());
    assert!(struck > 100, "no fault strikes");
    assert!(table.lost.is_empty(), "{}", table.lost.join("\n"));
}

impl Table {
    /// The same life without a plan, where the kernel itself refuses.
    fn take_under_strace(&mut self, durability: &str) {
        if Command::new("strace").arg("-V").output().is_err() {
            println!("there is no strace: the calls of the system were not refused");
            return;
        }
        for (call, error) in [
            ("openat", "EMFILE"),
            ("openat", "EIO"),
            ("pwrite64", "ENOSPC"),
            ("pwrite64", "EIO"),
            ("fdatasync", "EIO"),
            ("fsync", "EIO"),
            ("rename", "EIO"),
            ("unlink", "EIO"),
            ("ftruncate", "EIO"),
        ] {
            for number in 1..=40 {
                let folder = folder_in_memory();
                let asked =
                    Asked { durability, fault: "none", lasting: false, from: 0, to: 1, every: 1 };
                let life = command("life", asked, folder.path());
                let output = traced(&life, folder.path(), call, error, number);
                let (_, held) = after_a_life(&output, folder.path(), durability);
                let held = held.and_then(|()| {
                    let words = String::from_utf8_lossy(&output.stderr);
                    let fine = output.status.success();
                    if fine { Ok(()) } else { Err(format!("{}: {words}", output.status)) }
                });
                let held = held.map_err(|wrong| format!("{durability} {number}: {wrong}"));
                self.add(&("(strace)".to_owned(), Call::Any), &format!("{call}:{error}"), held);
            }
        }
    }
}

fn traced(life: &Command, folder: &Path, call: &str, error: &str, number: u32) -> Output {
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
    traced.arg("-e").arg(format!("inject={call}:error={error}:when={number}"));
    let members: [PathBuf; 8] = [
        "store/journal",
        "store/journal.new",
        "store/index.redb",
        "store/segments/segment-00000000",
        "store/temporary",
        "dag/dag.journal",
        "dag/dag.journal.new",
        "stale/pins",
    ]
    .map(|name| folder.join(name));
    for path in members {
        traced.arg("-P").arg(path);
    }
    traced.arg(life.get_program()).args(life.get_args());
    traced.envs(life.get_envs().filter_map(|(name, value)| Some((name, value?))));
    traced.output().expect("a process")
}
