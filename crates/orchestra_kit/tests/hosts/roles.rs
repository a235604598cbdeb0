//! What this program is besides the tests.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use orchestra_kit::sandbox::Interpreter;
use orchestra_kit::supervisor::{Order, Program, RESOLVER, Server, Start};
use rustix::io::fcntl_dupfd_cloexec;
use rustix::stdio::{stderr, stdin, stdout};
use symphony_guest::{Guest, GuestError, Value};

use crate::system::System;

/// The supervisor as the interpreter drives it, except that what it forks begins with an exec of this program.
pub(crate) fn supervisor() -> ExitCode {
    let mut server = Server::inherited().unwrap();
    server.up(Vec::new()).unwrap();
    loop {
        let start = match server.next_order().unwrap() {
            Order::Exit => return ExitCode::SUCCESS,
            Order::Fork(start) | Order::Exec(start) => start,
            Order::Resolver(_) => {
                server.not_started(RESOLVER, "no manifest here lists hosts").unwrap();
                continue;
            }
        };
        let Start { request, supervisor, lane, stdout, stderr, .. } = start;
        let child = Command::new(std::env::current_exe().unwrap())
            .arg("stage")
            .arg(serde_json::to_string(&request).unwrap())
            .arg(supervisor.to_string())
            .stdin(Stdio::from(lane))
            .stdout(Stdio::from(stdout))
            .stderr(Stdio::from(stderr))
            .spawn();
        match child {
            Ok(child) => server.spawned(request.id, child.id().cast_signed()).unwrap(),
            Err(error) => server.not_started(request.id, &error.to_string()).unwrap(),
        }
    }
}

/// One that hangs before it comes up where the sign says so, which is taken away: the next one does not.
pub(crate) fn hanging_supervisor(sign: &str) -> ExitCode {
    if std::fs::remove_file(sign).is_ok() {
        std::thread::sleep(Duration::from_secs(1000));
    }
    supervisor()
}

/// One that never comes up.
pub(crate) fn broken_supervisor() -> ExitCode {
    eprintln!("no module named `symphony`");
    ExitCode::from(1)
}

/// The child of a fork: becomes a guest.
pub(crate) fn stage(request: &str, supervisor: &str) -> ExitCode {
    let start = Start {
        request: serde_json::from_str(request).unwrap(),
        supervisor: supervisor.parse().unwrap(),
        lane: fcntl_dupfd_cloexec(stdin(), 3).unwrap(),
        stdout: fcntl_dupfd_cloexec(stdout(), 3).unwrap(),
        stderr: fcntl_dupfd_cloexec(stderr(), 3).unwrap(),
        kept: None,
        handover: None,
    };
    let prepared = match start.prepare(&Interpreter::default()) {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(127);
        }
    };
    let Program::Command { argv } = &prepared.program else { panic!("no command") };
    let error = Command::new(&argv[0]).args(&argv[1..]).envs(prepared.environment).exec();
    eprintln!("cannot execute `{}`: {error}", argv[0]);
    ExitCode::from(127)
}

/// Guests of all sorts.
pub(crate) fn guest(kind: &str, name: &str) -> ExitCode {
    match kind {
        "good" => good(name).run().unwrap(),
        "impostor" => {
            if let Err(error) = good("somebody-else").run() {
                eprintln!("{error}");
                return ExitCode::from(1);
            }
        }
        "raises" => {
            eprintln!("Traceback (most recent call last):");
            eprintln!("ModuleNotFoundError: No module named 'numpty'");
            return ExitCode::from(3);
        }
        "aborts" => std::process::abort(),
        "silent" => loop {
            std::thread::sleep(Duration::from_secs(1000));
        },
        "flood" => {
            let line = "x".repeat(1000);
            for number in 0..20_000 {
                println!("{number} {line}");
                eprintln!("{number}");
            }
            print!("{}", "no end of line ".repeat(100_000));
            good(name).run().unwrap();
        }
        "stubborn" => {
            // Asked to stop, it stays; started with SIGTERM ignored, it stays then too.
            good(name).run().unwrap();
            loop {
                std::thread::sleep(Duration::from_secs(1000));
            }
        }
        other => panic!("no guest `{other}`"),
    }
    ExitCode::SUCCESS
}

fn good(name: &str) -> Guest {
    Guest::new(name)
        .operation("echo", |inputs, _| Ok(inputs.get("value").cloned().unwrap_or_default()))
        .operation("pid", |_, _| Ok(Value::Int(i64::from(std::process::id()))))
        .operation("fail", |_, _| Err(GuestError::from("it failed on purpose")))
        .operation("sleep", |_, _| {
            std::thread::sleep(Duration::from_secs(1000));
            Ok(Value::None)
        })
        .operation("exit", |inputs, _| {
            eprintln!("about to leave");
            let code = inputs.get("code").and_then(Value::as_int).unwrap_or_default();
            std::process::exit(i32::try_from(code).unwrap())
        })
        .operation("abort", |_, _| std::process::abort())
        .operation("environment", |_, _| {
            #[expect(clippy::disallowed_methods, reason = "this program sets no variable")]
            let entries = std::env::vars().map(|(name, value)| (name, Value::Text(value)));
            Ok(Value::Map(entries.collect()))
        })
        .operation("descriptors", |_, _| Ok(Value::List(descriptors())))
        .operation("grandchild", |_, _| Ok(grandchild("setsid sleep")))
        .operation("straggler", |_, _| Ok(grandchild("sleep")))
        .operation("relay", |inputs, context| {
            let call = inputs.get("call").and_then(Value::as_text).unwrap_or_default().to_owned();
            let inner = inputs.get("with").cloned().unwrap_or(Value::Map(Vec::new()));
            context.call(&call, inner)
        })
}

/// What its open descriptors are, stdin, stdout and stderr aside.
fn descriptors() -> Vec<Value> {
    std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_name().to_str().unwrap().parse::<u32>().unwrap() > 2)
        .filter_map(|entry| std::fs::read_link(entry.path()).ok())
        .map(|target| Value::Text(target.display().to_string()))
        .collect()
}

/// Leaves a process behind that this one will not be the parent of.
fn grandchild(sleep: &str) -> Value {
    let script = format!("{sleep} 1000 >/dev/null & echo $!");
    let output = Command::new("sh").args(["-c", &script]).stderr(Stdio::inherit()).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    Value::Int(text.trim().parse().unwrap())
}

/// A root with two extensions and an escaped grandchild; says its processes and sleeps.
pub(crate) fn root(folder: &str) -> ExitCode {
    let system = System::at(folder.into());
    let kit = system.kit();
    let first = kit.extension("first").unwrap();
    let mut pids = vec![system.supervisor.pid().unwrap()];
    for name in ["first", "second"] {
        kit.extension(name).unwrap().activate(None).unwrap();
        pids.push(kit.extension(name).unwrap().pid().unwrap());
    }
    let none = ipc::Payload::empty_map();
    let grandchild = first.call("grandchild", &none, &ipc::CallOptions::default()).unwrap();
    let Value::Int(grandchild) = grandchild.value().unwrap() else { panic!("no pid") };
    pids.push(u32::try_from(grandchild).unwrap());
    let text: Vec<String> = pids.iter().map(u32::to_string).collect();
    println!("{}", text.join(" "));
    loop {
        std::thread::sleep(Duration::from_secs(1000));
    }
}
