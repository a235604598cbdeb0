//! Which key of a manifest would grant what the sandbox has refused.
//!
//! Asked by [`crate::extension`] when an operation, a start or a process failed, of what it told. Invariants: nothing is
//! said where something else may have refused as well, and no file is looked at: the paths are an extension's own words.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use component::Location;
use ipc::RemoteFailure;

use super::Policy;
use crate::document::Located;
use crate::manifest::{ExtensionManifest, HostName, Network};

/// So much of a text is looked at, from its end.
const LONGEST: usize = 16 * 1024;

/// What one run of an extension was granted, by which its refusals are explained.
#[derive(Debug, Clone)]
pub struct Refusals {
    manifest: Arc<ExtensionManifest>,
    policy: Policy,
    workspace: PathBuf,
}

/// What was to be done when the kernel refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Starting,
    Connecting,
    Signalling,
}

/// What the kernel said, as the C library and the languages write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// EACCES: files and what is executed (Landlock).
    Denied,
    /// EPERM: system calls (seccomp) and signals.
    NotPermitted,
    /// A name could not be resolved, as it is where there are no sockets.
    Unresolved,
}

const ANSWERS: &[(&str, Answer)] = &[
    ("[Errno 13]", Answer::Denied),
    ("(os error 13)", Answer::Denied),
    ("ermission denied", Answer::Denied),
    ("[Errno 1]", Answer::NotPermitted),
    ("(os error 1)", Answer::NotPermitted),
    ("peration not permitted", Answer::NotPermitted),
    ("emporary failure in name resolution", Answer::Unresolved),
    ("ame or service not known", Answer::Unresolved),
];

/// Lines of a traceback: of files that do it, and of code that has it done.
const SIGNS: &[(&str, Doing)] = &[
    ("/subprocess.py\"", Doing::Starting),
    ("/popen_fork.py\"", Doing::Starting),
    ("/popen_spawn_posix.py\"", Doing::Starting),
    ("os.fork", Doing::Starting),
    ("_fork_exec", Doing::Starting),
    ("os.posix_spawn", Doing::Starting),
    ("os.exec", Doing::Starting),
    ("pty.fork", Doing::Starting),
    ("/socket.py\"", Doing::Connecting),
    ("socket.", Doing::Connecting),
    ("os.kill", Doing::Signalling),
    ("pidfd_send_signal", Doing::Signalling),
];

impl Refusals {
    /// Of a run with that policy.
    pub const fn new(manifest: Arc<ExtensionManifest>, policy: Policy, workspace: PathBuf) -> Self {
        Self { manifest, policy, workspace }
    }

    /// Why an operation, or a start, failed that told this.
    pub fn of_failure(&self, failure: &RemoteFailure) -> Option<String> {
        let text =
            failure.causes.iter().fold(failure.message.clone(), |text, cause| text + "\n" + cause);
        // What another extension was refused, its own manifest grants.
        let foreign = |text: &str| {
            text.contains("symphony.exceptions.") || text.contains("[extension.permissions]")
        };
        if foreign(&failure.type_name) || foreign(&text) || foreign(&failure.traceback) {
            return None;
        }
        self.explain(end_of(&text), end_of(&failure.traceback))
    }

    /// Why a process ended that wrote these last lines.
    pub fn of_lines(&self, lines: &[String]) -> Option<String> {
        let told = lines.iter().rev().find_map(|line| answer(line).map(|_| line.as_str()))?;
        let all = lines.join("\n");
        self.explain(end_of(told), end_of(&all))
    }

    fn explain(&self, text: &str, about: &str) -> Option<String> {
        let doing = doing(about);
        let (files, calls) = (self.policy.kernel.landlock > 0, self.policy.kernel.seccomp);
        match (answer(text)?, doing) {
            (Answer::Denied, Some(Doing::Starting)) if files => Some(self.program(path(text))),
            (Answer::Denied, _) if files => match path(text) {
                Some(path) => self.file(path),
                None => self.unknown(&[("read", false), ("write", false)]),
            },
            (Answer::Unresolved, _) if calls => self.names(),
            (Answer::NotPermitted, Some(Doing::Connecting)) if calls => self.network(),
            (Answer::NotPermitted, Some(Doing::Starting)) => {
                (calls && !self.policy.processes).then(|| self.program(path(text)))
            }
            (Answer::NotPermitted, Some(Doing::Signalling)) if calls || files => Some(
                "the sandbox lets an extension's signals reach its own processes only; no permission changes that"
                    .to_owned(),
            ),
            (Answer::NotPermitted, None) if calls && path(text).is_none() => self.unknown(&[
                ("network", self.policy.network.is_all()),
                ("run", self.policy.processes),
            ]),
            _ => None,
        }
    }

    fn file(&self, named: &str) -> Option<String> {
        let permissions = &self.manifest.permissions;
        let file = plain(&self.manifest.folder.join(named));
        let within = |paths: &[PathBuf]| paths.iter().any(|path| file.starts_with(plain(path)));
        let private = [self.policy.temporary.clone(), self.policy.data.clone()];
        let (readable, writable) = (within(&self.policy.read), within(&self.policy.write));
        if within(&private) || (readable && writable) {
            return None;
        }
        let said = file
            .strip_prefix(plain(&self.workspace))
            .ok()
            .filter(|_| self.workspace.is_absolute() && self.workspace.parent().is_some());
        let said = match said {
            Some(inside) if inside.as_os_str().is_empty() => "${workspace}".to_owned(),
            Some(inside) => format!("${{workspace}}/{}", inside.display()),
            None => file.display().to_string(),
        };
        if is_of_a_process(&file) {
            return Some(
                "the sandbox keeps the entries of other processes in `/proc` from an extension"
                    .to_owned(),
            );
        }
        let file = file.display();
        if self.within_own_folder(named) {
            return Some(format!(
                "an extension's own folder is read only to it: it may write to `$TMPDIR`, and to `{}`, which is kept",
                self.policy.data.display()
            ));
        }
        Some(if readable {
            let grant = self.grant("write", &permissions.write, &said);
            format!("the sandbox lets it read `{file}` and not write it: {grant}")
        } else {
            let grant = self.grant("read", &permissions.read, &said);
            // It is not asked whether the file is there: that it is not would be an answer to whoever named it.
            let or = if writable {
                " (what was not there at its start is granted by its folder)"
            } else {
                " (`write`, to change it; its folder, to make it)"
            };
            format!("the sandbox keeps `{file}` from it: {grant}{or}")
        })
    }

    fn within_own_folder(&self, named: &str) -> bool {
        let folder = plain(&self.manifest.folder);
        plain(&folder.join(named)).starts_with(folder)
    }

    fn program(&self, name: Option<&str>) -> String {
        let name = name.unwrap_or("…");
        let grant = self.grant("run", &self.manifest.permissions.run, name);
        format!("the sandbox lets it start no process but what its manifest names: {grant}")
    }

    /// Why something of the network was refused; nothing where all of it is granted.
    fn network(&self) -> Option<String> {
        let place = self.place();
        match &self.policy.network {
            Network::All => None,
            // Where it cannot be held, a list grants nothing.
            Network::Refused if !self.manifest.permissions.network.is_refused() => Some(format!(
                "the sandbox gives it no network: {}, so that the hosts at {place} cannot be granted one by one",
                self.policy.kernel.hosts.reason()
            )),
            Network::Refused => Some(format!(
                "the sandbox gives it no network: write `network = [\"host:port\"]`, or `network = true`, under `[extension.permissions]` at {place}"
            )),
            Network::Hosts(_) => Some(format!(
                "the sandbox lets it connect, over TCP, to what `network` of `[extension.permissions]` at {place} lists: add the host with its port"
            )),
        }
    }

    /// Why a name is not known: nobody is asked, or only for addresses.
    fn names(&self) -> Option<String> {
        let hosts = self.policy.network.hosts();
        if hosts.iter().any(|host| !matches!(host.name, HostName::Address(_))) {
            return None;
        }
        self.network()
    }

    /// It is not known what was refused.
    fn unknown(&self, keys: &[(&str, bool)]) -> Option<String> {
        let lacks = keys.iter().filter(|(_, granted)| !granted);
        let lacks: Vec<_> = lacks.map(|(key, _)| format!("`{key}`")).collect();
        (!lacks.is_empty()).then(|| {
            format!(
                "the sandbox may be what refuses it: see {} under `[extension.permissions]` at {}",
                lacks.join(" and "),
                self.place()
            )
        })
    }

    /// The edit that grants it, with its place.
    fn grant(&self, key: &str, given: &[Located<String>], value: &str) -> String {
        if let Some(first) = given.first() {
            let place = first.at.relative_to(None);
            return format!("add `{value:?}` to `{key}` of `[extension.permissions]` at {place}");
        }
        let place = self.place();
        format!("write `{key} = [{value:?}]` under `[extension.permissions]` at {place}")
    }

    /// Where its permissions are, or would be.
    fn place(&self) -> String {
        let permissions: Option<&Location> = self.manifest.permissions.at.as_ref();
        permissions.unwrap_or(&self.manifest.at).relative_to(None)
    }
}

/// The end of a text, cut between characters.
fn end_of(text: &str) -> &str {
    let from = text.len().saturating_sub(LONGEST);
    let whole = (from..from + 4).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
    &text[whole..]
}

fn answer(text: &str) -> Option<Answer> {
    ANSWERS.iter().find(|(sign, _)| text.contains(sign)).map(|(_, answer)| *answer)
}

/// What the innermost frame that says so was about.
fn doing(traceback: &str) -> Option<Doing> {
    traceback.lines().rev().find_map(|line| {
        let is_place = line.trim_start().starts_with("File \"");
        let says = |sign: &&(&str, Doing)| {
            // The name of somebody's folder says nothing.
            sign.0.starts_with('/') == is_place && line.contains(sign.0)
        };
        SIGNS.iter().find(says).map(|(_, doing)| *doing)
    })
}

/// The path that an answer names: in quotes behind it, as Python and Node write it, or before it, as programs do.
fn path(text: &str) -> Option<&str> {
    let at = text.find("ermission denied").or_else(|| text.find("peration not permitted"))?;
    let behind = text[at..].lines().next().unwrap_or_default();
    if let Some(from) = behind.find(['\'', '"', '`']) {
        let quote = &behind[from..=from];
        let rest = &behind[from + 1..];
        return rest.find(quote).map(|to| &rest[..to]).filter(|path| !path.is_empty());
    }
    let before = text[..at.saturating_sub(1)].lines().next_back()?.trim_end().strip_suffix(':')?;
    let word = before.rsplit([' ', ':']).next()?;
    word.starts_with('/').then_some(word)
}

/// Whether a path is in the process table, below a number.
fn is_of_a_process(file: &Path) -> bool {
    let mut parts = file.strip_prefix("/proc").into_iter().flat_map(Path::iter);
    let number = parts.next().and_then(|part| part.to_str());
    number.is_some_and(|name| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A path without `.` and `..`, by its words alone.
fn plain(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut plain, part| {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            part => plain.push(part),
        }
        plain
    })
}
