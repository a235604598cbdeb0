//! `[extension]`: one extension, how it is started, what it may do.

use std::path::{Path, PathBuf};

use component::Location;

use super::system::interpreter;
use super::{
    Activation, Limits, Member, Permissions, Protocol, Restart, ServerSettings, is_name, server,
};
use crate::document::{Element, Faults, Fields, Located};
use crate::trust::Trust;

/// What `[extension]` says.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtensionManifest {
    /// The manifest's file, absolute.
    pub file: PathBuf,
    /// Its folder: what its paths are relative to.
    pub folder: PathBuf,
    /// The SHA-256 of the bytes of the file that were read, by which what is started is what was pinned.
    pub digest: String,
    /// Where `[extension]` stands.
    pub at: Location,
    /// The unique name, the first half of each call.
    pub name: Located<String>,
    /// Its version.
    pub version: String,
    /// What sort of thing it is.
    pub kind: Kind,
    /// Where it runs.
    pub execution: Execution,
    /// What is started.
    pub entry: Entry,
    /// What a `command` speaks.
    pub protocol: Protocol,
    /// LSP: the languages of the documents that it is given. None: a document's is told by its name.
    pub languages: Vec<Located<String>>,
    /// What a server of LSP or MCP is told.
    pub server: ServerSettings,
    /// Its own interpreter: a path, or a bare name to be looked up. None: the system's.
    pub python: Option<PathBuf>,
    /// When it is started.
    pub activation: Activation,
    /// Events that start it (`file:*.py`).
    pub on: Vec<Located<String>>,
    /// Whether an eager one that fails fails the boot.
    pub required: bool,
    /// Pit members and other extensions that it needs.
    pub requires: Vec<Located<String>>,
    /// The operations that it says it has. None: read from its source or its handshake.
    pub operations: Option<Vec<Located<String>>>,
    /// Whether the Conductor may choose it by itself.
    pub player: bool,
    /// What it may do.
    pub permissions: Permissions,
    /// How much it may take.
    pub limits: Limits,
    /// How often a crash is forgiven.
    pub restart: Restart,
    /// Why it cannot be started, where its manifest or its files are at fault and the system goes on without it.
    pub fault: Option<String>,
    /// What it is held against before each start, where it comes with an opened project; the catalogue sets it.
    pub trust: Option<Trust>,
}

/// What sort of thing an extension is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// An AI model.
    Instrument,
    /// A tool.
    #[default]
    Operator,
    /// A piece of user interface.
    Motif,
}

impl Kind {
    /// The word in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instrument => "instrument",
            Self::Operator => "operator",
            Self::Motif => "motif",
        }
    }
}

/// Where an extension runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// In a process of its own.
    Process,
    /// In the root process.
    Pit,
}

impl Execution {
    /// The word in manifests.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Pit => "pit",
        }
    }
}

/// What is started: exactly one of `entry`, `command` and `library`.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// `entry = "module:attribute"`.
    Python(Located<PythonEntry>),
    /// `command = ["./outline", …]`: the program and its arguments.
    Command(Vec<Located<String>>),
    /// `library = "liboutline.so"`, with the digest that pins it.
    Library {
        /// The file, resolved.
        file: Located<PathBuf>,
        /// SHA-256 of its bytes, 64 hexadecimal digits.
        sha256: Option<Located<String>>,
    },
}

impl Entry {
    /// Where it stands in the manifest.
    pub fn at(&self) -> Option<&Location> {
        match self {
            Self::Python(entry) => Some(&entry.at),
            Self::Command(words) => words.first().map(|word| &word.at),
            Self::Library { file, .. } => Some(&file.at),
        }
    }
}

/// A Python module and an attribute of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonEntry {
    /// The dotted module.
    pub module: String,
    /// The attribute in it.
    pub attribute: String,
}

impl std::fmt::Display for PythonEntry {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}:{}", self.module, self.attribute)
    }
}

impl PythonEntry {
    fn parse(text: &str) -> Option<Self> {
        let (module, attribute) = text.split_once(':')?;
        let lawful = module.split('.').all(is_identifier) && is_identifier(attribute);
        lawful.then(|| Self { module: module.to_owned(), attribute: attribute.to_owned() })
    }
}

fn is_identifier(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

impl ExtensionManifest {
    pub(super) const KEYS: &[&str] = &[
        "name",
        "version",
        "kind",
        "execution",
        "entry",
        "command",
        "library",
        "sha256",
        "protocol",
        "languages",
        "python",
        "activation",
        "on",
        "required",
        "requires",
        "operations",
        "player",
        "permissions",
        "limits",
        "restart",
        "server",
    ];

    pub(super) fn read_from(faults: &mut Faults, file: &Path, element: Element) -> Option<Self> {
        let folder = file.parent().unwrap_or(Path::new("/")).to_owned();
        let mut fields = Fields::open(faults, element, "extension", Self::KEYS)?;
        let at = fields.at().clone();
        let name = name(&mut fields);
        let entry = entry(&mut fields, &folder);
        let execution_place = fields.place("execution");
        let execution = fields
            .word("execution", &[("process", Execution::Process), ("pit", Execution::Pit)])
            .unwrap_or(match entry {
                Some(Entry::Library { .. }) => Execution::Pit,
                _ => Execution::Process,
            });
        let misplaced = match (&entry, execution) {
            (Some(Entry::Library { .. }), Execution::Process) => {
                Some(("a library runs in the process", "write `execution = \"pit\"`"))
            }
            (Some(Entry::Command(_)), Execution::Pit) => {
                Some(("a command runs in a process of its own", "write `execution = \"process\"`"))
            }
            _ => None,
        };
        if let (Some((message, hint)), Some(place)) = (misplaced, execution_place) {
            fields.faults.error(&place, message).hint = Some(hint.to_owned());
        }
        let spoken = fields.place("protocol");
        let protocol = fields.word("protocol", Protocol::WORDS);
        let written = protocol.zip(spoken).map(|(word, at)| Located::new(word, at));
        server::check(&mut fields, written.as_ref(), matches!(entry, Some(Entry::Command(_))));
        let manifest = Self {
            protocol: protocol.unwrap_or_default(),
            languages: fields.texts("languages").unwrap_or_default(),
            server: fields
                .take("server")
                .and_then(|element| ServerSettings::read(fields.faults, element))
                .unwrap_or_default(),
            name: name.unwrap_or_else(|| Located::new(String::new(), at.clone())),
            version: fields.text("version").map_or_else(|| "0.0.0".to_owned(), |text| text.value),
            kind: fields
                .word(
                    "kind",
                    &[
                        ("instrument", Kind::Instrument),
                        ("operator", Kind::Operator),
                        ("motif", Kind::Motif),
                    ],
                )
                .unwrap_or_default(),
            execution,
            python: fields.text("python").map(|text| interpreter(&folder, &text)),
            activation: fields
                .word("activation", &[("lazy", Activation::Lazy), ("eager", Activation::Eager)])
                .unwrap_or_default(),
            on: fields.texts("on").unwrap_or_default(),
            required: fields.flag("required").unwrap_or(true),
            requires: fields.texts("requires").unwrap_or_default(),
            operations: fields.texts("operations"),
            player: fields.flag("player").unwrap_or(false),
            permissions: fields
                .take("permissions")
                .and_then(|element| Permissions::read(fields.faults, element, file))
                .unwrap_or_default(),
            limits: fields
                .take("limits")
                .and_then(|element| Limits::read(fields.faults, element))
                .unwrap_or_default(),
            restart: fields
                .take("restart")
                .and_then(|element| Restart::read(fields.faults, element))
                .unwrap_or_default(),
            // A manifest without a lawful entry is never handed out: the fault is already told.
            entry: entry.unwrap_or(Entry::Command(Vec::new())),
            file: file.to_owned(),
            folder,
            digest: String::new(),
            at,
            fault: None,
            trust: None,
        };
        Some(manifest)
    }

    /// Whether the system can go on without it: one that is optional, or that nobody may ever call.
    pub(crate) fn is_dispensable(&self) -> bool {
        !self.required || self.activation == Activation::Lazy
    }

    /// The same as one that is asked to start at boot, cannot, and degrades the system.
    pub(crate) fn degraded(mut self, why: String) -> Self {
        self.activation = Activation::Eager;
        self.required = false;
        self.requires = Vec::new();
        self.fault = Some(why);
        self
    }

    /// The same as one that comes with a project: the system goes on without it, whatever it says of itself.
    pub(crate) fn of_project(mut self, trust: Trust, trusted: bool) -> Self {
        self.required = false;
        self.trust = Some(trust);
        if !trusted {
            // Its start at boot is refused, and that is how the system says that it goes on without it.
            self.activation = Activation::Eager;
            self.requires = Vec::new();
        }
        self
    }

    /// The start deadline: the manifest's, else by the activation.
    pub fn start_deadline(&self) -> std::time::Duration {
        self.limits.start_deadline(self.activation)
    }
}

fn name(fields: &mut Fields<'_>) -> Option<Located<String>> {
    if fields.place("name").is_none() {
        fields.lacks("name", "write `name = \"…\"`; it is the first half of each call");
        return None;
    }
    let name = fields.text("name")?;
    if Member::parse(&name).is_some() {
        fields.faults.error(&name.at, format!("`{name}` is a member of the Pit")).hint =
            Some("choose another name".to_owned());
    } else if !is_name(&name) {
        fields.faults.error(&name.at, format!("`{name}` cannot name an extension")).hint =
            Some("use letters, digits, `-` and `_`".to_owned());
    }
    Some(name)
}

fn entry(fields: &mut Fields<'_>, folder: &Path) -> Option<Entry> {
    let written: Vec<&str> = ["entry", "command", "library"]
        .into_iter()
        .filter(|key| fields.place(key).is_some())
        .collect();
    if let [_, second, ..] = written[..] {
        let place = fields.place(second).unwrap_or_else(|| fields.at().clone());
        let message = format!("{} exclude each other", crate::document::quoted(&written));
        fields.faults.error(&place, message).hint = Some("keep one of them".to_owned());
    }
    let sha256 = fields.text("sha256");
    if let Some(digest) = &sha256 {
        if digest.len() != 64 || !digest.chars().all(|digit| digit.is_ascii_hexdigit()) {
            fields
                .faults
                .error(&digest.at, "`extension.sha256` must be 64 hexadecimal digits")
                .hint = Some("`sha256sum FILE` prints it".to_owned());
        } else if !written.contains(&"library") {
            fields
                .faults
                .error(&digest.at, "`extension.sha256` pins a `library`, and there is none");
        }
    }
    let entry = match written.first() {
        None => {
            fields.lacks(
                "entry",
                "write `entry = \"module:attribute\"`, `command = [\"./program\"]` or `library = \"file.so\"`",
            );
            None
        }
        Some(&"entry") => fields.text("entry").and_then(|text| {
            let parsed = PythonEntry::parse(&text);
            if parsed.is_none() {
                let message = format!("`extension.entry` must be `module:attribute`, not `{text}`");
                let fault = fields.faults.error(&text.at, message);
                let module = text.strip_suffix(".py").unwrap_or(&text).replace('/', ".");
                if module.split('.').all(is_identifier) {
                    fault.hint = Some(format!("write `entry = \"{module}:extension\"`"));
                }
            }
            parsed.map(|entry| Entry::Python(Located::new(entry, text.at)))
        }),
        Some(&"command") => {
            let place = fields.place("command");
            let words = fields.texts("command");
            if let (Some([]), Some(place)) = (words.as_deref(), &place) {
                fields.faults.error(place, "`extension.command` is empty");
            }
            words.filter(|words| !words.is_empty()).map(Entry::Command)
        }
        Some(_) => fields.text("library").map(|text| Entry::Library {
            file: Located::new(folder.join(&text.value), text.at),
            sha256: sha256.clone(),
        }),
    };
    // The keys that lost are known keys all the same.
    for key in ["entry", "command", "library"] {
        fields.take(key);
    }
    entry
}
