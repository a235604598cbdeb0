//! A system in a temporary folder, with guests that are this program.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::{Bus, CallOptions, Payload, Value};
use orchestra_kit::catalogue::Sources;
use orchestra_kit::host::ProcessHostOptions;
use orchestra_kit::operations::Members;
use orchestra_kit::sandbox::Kernel;
use orchestra_kit::supervisor::{Environment, Launch, Supervisor};
use orchestra_kit::{Catalogue, ExtensionHandle, Kit, KitParts, SystemManifest};

/// The folder, and what runs for it.
pub(crate) struct System {
    pub(crate) folder: PathBuf,
    pub(crate) supervisor: Arc<Supervisor>,
    members: Members,
    _temporary: Option<tempfile::TempDir>,
}

/// Writes one extension whose guest is of that kind, with further lines for its manifest.
pub(crate) fn extension(folder: &std::path::Path, name: &str, kind: &str, more: &str) {
    let exe = std::env::current_exe().unwrap();
    let exe = exe.to_str().unwrap();
    let command = match kind {
        "stubborn" => format!(r#"["sh", "-c", "trap '' TERM; exec {exe} guest {kind} {name}"]"#),
        _ => format!(r#"["{exe}", "guest", "{kind}", "{name}"]"#),
    };
    let own = folder.join(name);
    std::fs::create_dir_all(&own).unwrap();
    let mut text = String::from("[extension]\n");
    writeln!(text, "name = \"{name}\"\nversion = \"0.1.0\"\nkind = \"operator\"").unwrap();
    writeln!(text, "execution = \"process\"\ncommand = {command}\n{more}").unwrap();
    std::fs::write(own.join("Symphony.toml"), text).unwrap();
}

/// What every system of these tests is given: the runner's own variables, and two that the runner does not have.
#[expect(clippy::disallowed_methods, reason = "nothing sets a variable in this program")]
pub(crate) fn environment() -> Environment {
    let given = [GRANTED, INHERITED].map(|name| (name.into(), "by the caller".into()));
    std::env::vars_os().chain(given).collect()
}

/// Given, and for those alone to whom it is granted.
pub(crate) const GRANTED: &str = "SYMPHONY_TEST_GIVEN";
/// Given, and for every process.
pub(crate) const INHERITED: &str = "LC_SYMPHONY_TEST";

fn launch() -> Launch {
    Launch::new(std::env::current_exe().unwrap(), ["supervisor"], &environment())
}

impl System {
    /// A system with these extensions: name, kind, further lines.
    pub(crate) fn with(extensions: &[(&str, &str, &str)]) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        for (name, kind, more) in extensions {
            extension(temporary.path(), name, kind, more);
        }
        let folder = temporary.path().to_path_buf();
        Self { _temporary: Some(temporary), ..Self::at(folder) }
    }

    /// The system in that folder, its supervisor up.
    pub(crate) fn at(folder: PathBuf) -> Self {
        let text = "[system]\nname = \"test\"\nextensions = [\"*\"]\n";
        std::fs::write(folder.join("Symphony.toml"), text).unwrap();
        let supervisor = Supervisor::start(launch()).unwrap();
        supervisor.wait_up(Instant::now() + Duration::from_secs(20)).unwrap();
        Self { folder, supervisor, members: Members::default(), _temporary: None }
    }

    /// The same with Pit members.
    pub(crate) fn members(mut self, members: Members) -> Self {
        self.members = members;
        self
    }

    /// Its kit.
    pub(crate) fn kit(&self) -> Kit {
        let system = SystemManifest::read(&self.folder.join("Symphony.toml")).unwrap();
        let catalogue = Catalogue::read(&system, Sources::default()).unwrap();
        Kit::new(KitParts {
            catalogue: Arc::new(catalogue),
            supervisor: Some(Arc::clone(&self.supervisor)),
            bus: Bus::new().unwrap(),
            members: self.members.clone(),
            process: ProcessHostOptions {
                environment: environment(),
                // Guests here start programs as they like; what holds them is tried in `tests/kit/test_sandbox.py`.
                kernel: Some(Kernel::default()),
                ..ProcessHostOptions::default()
            },
            sentinels: None,
        })
        .unwrap()
    }
}

/// Calls with these inputs and 20 s.
pub(crate) fn call(
    extension: &ExtensionHandle,
    operation: &str,
    inputs: impl Into<Value>,
) -> Result<Value, orchestra_kit::ExtensionError> {
    let inputs = Payload::from_value(&inputs.into()).unwrap();
    let options = CallOptions::within(Duration::from_secs(20));
    extension.call(operation, &inputs, &options).map(|result| result.value().unwrap())
}

/// No inputs.
pub(crate) fn nothing() -> Value {
    Value::Map(Vec::new())
}

/// Whether a process runs; one that only waits to be reaped does not.
pub(crate) fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat[stat.rfind(')').unwrap() + 1..].trim_start().chars().next();
        state != Some('Z') && state != Some('X')
    })
}

/// Waits until something is so, at most that long.
pub(crate) fn soon(limit: Duration, mut is_so: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while !is_so() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}
