//! `[system]`: one system, its extensions, its state, its budgets.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use component::{Location, Phase, did_you_mean};
use pit::stale_manager::StoreLimits;

use super::{Member, quantity};
use crate::document::{Element, Faults, Fields, Located};

/// What `[system]` says, paths resolved against the manifest's folder.
#[derive(Debug, Clone, PartialEq)]
pub struct SystemManifest {
    /// The manifest's file, absolute.
    pub file: PathBuf,
    /// Its folder: what its paths are relative to.
    pub folder: PathBuf,
    /// The system's name; the folder's when none is written.
    pub name: String,
    /// Globs of folders that hold an extension's manifest, as written.
    pub extensions: Vec<Located<String>>,
    /// Where artifacts and journals live.
    pub state: PathBuf,
    /// Where that is written. None: nowhere, it is the default.
    pub state_at: Option<Location>,
    /// The opened project.
    pub workspace: PathBuf,
    /// The interpreter for guests: a path, or a bare name to be looked up. None: the running one.
    pub python: Option<PathBuf>,
    /// Modules of components that are booted too, `package.module`.
    pub components: Vec<Located<String>>,
    /// The Conductor where nobody gives another, `package.module:callable`.
    pub conductor: Option<Located<String>>,
    /// The Pit members to start.
    pub members: Vec<Member>,
    /// What an acknowledged write survives.
    pub durability: Durability,
    /// What a boot does after two of this state that failed.
    pub safe_mode: SafeMode,
    /// How many nodes of Melodies run out of process at once. None: the engine's own choice.
    pub slots: Option<u32>,
    /// What the artifact store keeps.
    pub store: StoreLimits,
    /// What must not be exceeded.
    pub budgets: Budgets,
    /// Limits of single phases.
    pub phases: BTreeMap<Phase, PhaseLimits>,
}

/// What an acknowledged write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The end of the process.
    #[default]
    Process,
    /// A power cut: one `fsync` per batch.
    Power,
}

impl Durability {
    /// As an argument gives it, in the manifest's words.
    ///
    /// # Errors
    /// It is neither; the error says what is wanted.
    pub fn parse(given: &str) -> Result<Self, String> {
        match given {
            "process" => Ok(Self::Process),
            "power" => Ok(Self::Power),
            _ => Err(format!(
                "`system.durability` must be one of `process` and `power`, not `{given}`"
            )),
        }
    }

    /// In the manifest's words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

/// What a boot does after two in a row of the same state that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SafeMode {
    /// It leaves out what was starting when they failed.
    #[default]
    Auto,
    /// Whatever was before, it starts no extension: each is started by its first call.
    On,
    /// It starts everything.
    Off,
}

impl SafeMode {
    const WORDS: &[(&str, Self)] = &[("auto", Self::Auto), ("on", Self::On), ("off", Self::Off)];

    /// As an argument gives it, in the manifest's words.
    ///
    /// # Errors
    /// It is none of them; the error says what is wanted.
    pub fn parse(given: &str) -> Result<Self, String> {
        let found = Self::WORDS.iter().find(|(word, _)| *word == given);
        found.map(|(_, mode)| *mode).ok_or_else(|| {
            format!("`system.safe_mode` must be one of `auto`, `on` and `off`, not `{given}`")
        })
    }
}

/// The store's limits as an argument gives them, in the manifest's words; the error names the key and what is wanted.
///
/// # Errors
/// There is no such key, or one of them is no such quantity.
pub fn store_limits(given: &BTreeMap<String, String>) -> Result<StoreLimits, String> {
    let known = SystemManifest::STORE_KEYS;
    if let Some(key) = given.keys().find(|key| !known.contains(&key.as_str())) {
        let known = crate::document::quoted(known);
        return Err(format!("unknown key `{key}` in `system.store`; its keys are {known}"));
    }
    let keep = given.get("keep").map(String::as_str);
    let cap = given.get("cap").map(String::as_str);
    let wrong =
        |key, text, example| format!("`system.store.{key}` must be like {example}, not `{text}`");
    let keep = keep
        .map(|text| quantity::age(text).ok_or_else(|| wrong("keep", text, KEEP_EXAMPLE)))
        .transpose()?;
    let cap = cap
        .map(|text| quantity::size(text).ok_or_else(|| wrong("cap", text, CAP_EXAMPLE)))
        .transpose()?;
    Ok(StoreLimits { keep, cap })
}

const KEEP_EXAMPLE: &str = "`30d`";
const CAP_EXAMPLE: &str = "`10GiB`";

/// Budgets of the boot. Going over one is a warning, not a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budgets {
    /// From the call of `boot()` until ready.
    pub ready: Option<Duration>,
    /// Time in which nothing but Symphony was on the critical path.
    pub overhead: Option<Duration>,
    /// Rise of the peak memory, in bytes.
    pub memory: Option<u64>,
}

/// Limits of one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PhaseLimits {
    /// Its deadline: going over it fails the boot.
    pub timeout: Option<Duration>,
    /// Its budget: going over it is a warning.
    pub budget: Option<Duration>,
}

impl SystemManifest {
    pub(super) const KEYS: &[&str] = &[
        "name",
        "extensions",
        "state",
        "workspace",
        "python",
        "components",
        "conductor",
        "members",
        "durability",
        "safe_mode",
        "slots",
        "store",
        "budgets",
        "phases",
    ];
    pub(super) const STORE_KEYS: &[&str] = &["keep", "cap"];
    pub(super) const BUDGET_KEYS: &[&str] = &["ready", "overhead", "memory"];
    pub(super) const PHASE_KEYS: &[&str] = &["timeout", "budget"];

    pub(super) fn read_from(faults: &mut Faults, file: &Path, element: Element) -> Option<Self> {
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        let mut fields = Fields::open(faults, element, "system", Self::KEYS)?;
        let name = fields.text("name").map_or_else(
            || {
                let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
                name.unwrap_or_else(|| "system".to_owned())
            },
            |name| name.value,
        );
        let path = |text: Option<Located<String>>, default: &str| {
            let text = text.as_ref().map_or(default, |text| text.value.as_str());
            folder.join(text).components().collect::<PathBuf>()
        };
        let members = members(&mut fields);
        let state = fields.text("state");
        Some(Self {
            name,
            extensions: fields.texts("extensions").unwrap_or_default(),
            state_at: state.as_ref().map(|text| text.at.clone()),
            state: path(state, ".symphony"),
            workspace: path(fields.text("workspace"), "."),
            python: fields.text("python").map(|text| interpreter(&folder, &text)),
            components: components(&mut fields),
            conductor: conductor(&mut fields),
            store: store(&mut fields, &members),
            members,
            durability: fields
                .word(
                    "durability",
                    &[("process", Durability::Process), ("power", Durability::Power)],
                )
                .unwrap_or_default(),
            safe_mode: fields.word("safe_mode", SafeMode::WORDS).unwrap_or_default(),
            slots: fields.number("slots", 1),
            budgets: fields
                .table("budgets", "system.budgets", Self::BUDGET_KEYS)
                .map(|mut fields| Budgets {
                    ready: fields.parsed("ready", "`2s`", quantity::duration),
                    overhead: fields.parsed("overhead", "`200ms`", quantity::duration),
                    memory: fields.parsed("memory", "`50MiB`", quantity::size),
                })
                .unwrap_or_default(),
            phases: phases(&mut fields),
            file: file.to_owned(),
            folder,
        })
    }
}

/// A path is relative to the folder; a bare name is left to be looked up.
pub(super) fn interpreter(folder: &Path, text: &str) -> PathBuf {
    if text.contains('/') { folder.join(text) } else { PathBuf::from(text) }
}

fn components(fields: &mut Fields<'_>) -> Vec<Located<String>> {
    let names = fields.texts("components").unwrap_or_default();
    for name in &names {
        if !is_dotted(&name.value) {
            fields.faults.error(&name.at, format!("`{name}` is not the name of a module")).hint =
                Some("name it as it is imported, `package.module`".to_owned());
        }
    }
    names
}

fn conductor(fields: &mut Fields<'_>) -> Option<Located<String>> {
    let name = fields.text("conductor")?;
    let lawful = name
        .value
        .split_once(':')
        .is_some_and(|(module, callable)| is_dotted(module) && is_dotted(callable));
    if !lawful {
        fields.faults.error(&name.at, format!("`{name}` does not name a callable")).hint =
            Some("name it as `package.module:callable`".to_owned());
    }
    Some(name)
}

/// Whether a text is names with dots between them.
fn is_dotted(text: &str) -> bool {
    text.split('.').all(|part| {
        part.chars().enumerate().all(|(at, letter)| {
            letter == '_' || if at == 0 { letter.is_alphabetic() } else { letter.is_alphanumeric() }
        }) && !part.is_empty()
    })
}

fn members(fields: &mut Fields<'_>) -> Vec<Member> {
    let Some(names) = fields.texts("members") else { return Member::ALL.to_vec() };
    let mut members: Vec<Member> = Vec::new();
    for name in &names {
        match Member::parse(name) {
            Some(member) if members.contains(&member) => {
                fields.faults.error(&name.at, format!("`{name}` stands twice in `system.members`"));
            }
            Some(member) => members.push(member),
            None => {
                let known = Member::ALL.map(Member::as_str);
                let fault =
                    fields.faults.error(&name.at, format!("the Pit has no member `{name}`"));
                fault.hint = Some(match did_you_mean(name, known) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("its members: {}", crate::document::quoted(&known)),
                });
            }
        }
    }
    for name in &names {
        let Some(member) = Member::parse(name) else { continue };
        for needed in member.requires() {
            if !members.contains(needed) {
                let message =
                    format!("`{member}` needs `{needed}`, which `system.members` leaves out");
                fields.faults.error(&name.at, message).hint =
                    Some(format!("add `\"{needed}\"` to `members`"));
            }
        }
    }
    members
}

fn store(fields: &mut Fields<'_>, members: &[Member]) -> StoreLimits {
    let at = fields.place("store");
    let Some(mut table) = fields.table("store", "system.store", SystemManifest::STORE_KEYS) else {
        return StoreLimits::default();
    };
    let limits = StoreLimits {
        keep: table.parsed("keep", KEEP_EXAMPLE, quantity::age),
        cap: table.parsed("cap", CAP_EXAMPLE, quantity::size),
    };
    if let Some(at) = at.filter(|_| !limits.is_none() && !members.contains(&Member::StaleManager)) {
        let message = "`system.store` needs `stale-manager`, which `system.members` leaves out";
        fields.faults.error(&at, message.to_owned()).hint =
            Some("add `\"stale-manager\"` to `members`".to_owned());
    }
    limits
}

fn phases(fields: &mut Fields<'_>) -> BTreeMap<Phase, PhaseLimits> {
    let names = Phase::ALL.map(Phase::as_str);
    let mut limits = BTreeMap::new();
    let Some(mut table) = fields.table("phases", "system.phases", &names) else { return limits };
    for phase in Phase::ALL {
        let name = match phase {
            Phase::Foundation => "system.phases.foundation",
            Phase::IpcBus => "system.phases.ipc_bus",
            Phase::Pit => "system.phases.pit",
            Phase::OrchestraKit => "system.phases.orchestra_kit",
            Phase::Conductor => "system.phases.conductor",
        };
        if let Some(mut fields) = table.table(phase.as_str(), name, SystemManifest::PHASE_KEYS) {
            let one = PhaseLimits {
                timeout: fields.parsed("timeout", "`5s`", quantity::duration),
                budget: fields.parsed("budget", "`20ms`", quantity::duration),
            };
            limits.insert(phase, one);
        }
    }
    limits
}
