//! What a manifest asks for, in words for the person who decides whether to let it.
//!
//! Called by `symphony check --permissions`, through `check`. Invariant: each permission is told, also one that is not asked
//! for; what is wider than it looks says so.

use std::path::{Component, Path};

use component::Location;

use super::permissions::without_dots;
use super::{Execution, ExtensionManifest, Host, HostName, Network};
use crate::document::Located;

/// One permission and what a manifest asks for by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The key of `[extension.permissions]`.
    pub permission: &'static str,
    /// What is written there; for `network` one word, or its hosts.
    pub values: Vec<String>,
    /// The same in plain words.
    pub words: String,
    /// What follows from it that the words do not say.
    pub note: Option<String>,
    /// Where the first of the values stands.
    pub at: Option<Location>,
}

/// Variables by which a program is told to load what they name.
const LOADS: [&str; 6] =
    ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP"];

/// Programs that run what they are given.
const RUNS_WHAT_IT_IS_GIVEN: [&str; 14] = [
    "sh", "bash", "dash", "zsh", "fish", "env", "python", "python3", "node", "perl", "ruby",
    "make", "xargs", "find",
];

impl ExtensionManifest {
    /// Each permission, in the order of the documentation.
    pub fn asked(&self) -> Vec<Asked> {
        let permissions = &self.permissions;
        let mut asked = vec![
            paths("read", &permissions.read, "reads", "nothing of yours"),
            paths("write", &permissions.write, "changes and deletes", "nothing of yours"),
            network(&permissions.network),
            run(&permissions.run),
            env(&permissions.env),
            calls(&permissions.calls),
        ];
        if self.execution == Execution::Pit {
            for one in &mut asked {
                one.note =
                    Some("nothing holds it to that: it runs in Symphony's own process".to_owned());
            }
        }
        asked
    }
}

fn told(
    permission: &'static str,
    values: &[Located<String>],
    words: String,
    note: Option<String>,
) -> Asked {
    Asked {
        permission,
        values: values.iter().map(|value| value.value.clone()).collect(),
        words,
        note,
        at: values.first().map(|value| value.at.clone()),
    }
}

fn paths(permission: &'static str, paths: &[Located<String>], does: &str, nothing: &str) -> Asked {
    if paths.is_empty() {
        return told(permission, paths, format!("{does} {nothing}"), None);
    }
    let places: Vec<String> = paths.iter().map(|path| place(path)).collect();
    let everything = paths.iter().find(|path| {
        let plain = without_dots(Path::new(path.as_str()));
        ["/", "/home", "/root"].iter().any(|all| plain == Path::new(all))
    });
    let note = everything
        .map(|path| format!("`{}` is about everything that you have", path.value))
        .or_else(|| {
            let above = paths.iter().find(|path| leads_above(path))?;
            Some(format!("`{}` is a folder above, with what others have in it", above.value))
        });
    told(permission, paths, format!("{does} {}", listed(&places)), note)
}

/// Whether nothing is left of a path but ways up, from the extension's own folder or from what a variable stands for.
fn leads_above(path: &str) -> bool {
    let inside =
        path.strip_prefix("${").map_or(path, |rest| rest.split('}').nth(1).unwrap_or(rest));
    let mut depth = 0_usize;
    let mut is_above = false;
    for part in Path::new(inside.trim_start_matches('/')).components() {
        match part {
            Component::ParentDir if depth == 0 => is_above = true,
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    is_above && depth == 0 && !path.starts_with('/')
}

/// A granted path, as a person would say it.
fn place(path: &str) -> String {
    let known = [
        ("${workspace}", "the opened project"),
        ("${system}", "the folder of the system"),
        ("${python}", "the installation of Python"),
    ];
    for (variable, name) in known {
        if let Some(rest) = path.strip_prefix(variable) {
            return match rest.trim_matches('/') {
                "" => format!("everything in {name}"),
                rest => format!("`{rest}` in {name}"),
            };
        }
    }
    match path {
        "." | "./" => "everything in its own folder".to_owned(),
        path if path.starts_with('/') => format!("`{path}`"),
        path => format!("`{path}` from its own folder"),
    }
}

fn network(granted: &Network) -> Asked {
    let (values, words, note) = match granted {
        Network::Refused => (vec!["false".to_owned()], "talks to nobody".to_owned(), None),
        Network::All => {
            let note = "also what listens on this machine alone, as databases, D-Bus and Docker do";
            (vec!["true".to_owned()], "talks to every host".to_owned(), Some(note))
        }
        Network::Hosts(hosts) => {
            let names: Vec<String> = hosts.iter().map(|host| format!("`{host}`")).collect();
            let is_named = |host: &Host| !matches!(host.name, HostName::Address(_));
            let note =
                "what it looks up reaches the resolvers of this machine, and those that they ask";
            let words = format!("talks to {} over TCP, and to nobody else", listed(&names));
            let values = hosts.iter().map(ToString::to_string).collect();
            (values, words, hosts.iter().any(is_named).then_some(note))
        }
    };
    Asked { permission: "network", values, words, note: note.map(str::to_owned), at: None }
}

fn run(programs: &[Located<String>]) -> Asked {
    if programs.is_empty() {
        return told("run", programs, "starts no program".to_owned(), None);
    }
    let names: Vec<String> =
        programs.iter().map(|program| format!("`{}`", program.value)).collect();
    let wide = programs.iter().find(|program| {
        let file = program.rsplit('/').next().unwrap_or_default();
        RUNS_WHAT_IT_IS_GIVEN
            .contains(&file.trim_end_matches(|sign: char| sign == '.' || sign.is_ascii_digit()))
            || RUNS_WHAT_IT_IS_GIVEN.contains(&file)
    });
    let note = wide.map(|program| format!("`{}` runs whatever it is given", program.value));
    told("run", programs, format!("starts {}, within the same permissions", listed(&names)), note)
}

fn env(variables: &[Located<String>]) -> Asked {
    if variables.is_empty() {
        return told("env", variables, "sees none of your variables".to_owned(), None);
    }
    let names: Vec<String> = variables.iter().map(|name| format!("`{}`", name.value)).collect();
    let loads = variables.iter().find(|name| LOADS.contains(&name.as_str()));
    let note = loads
        .map(|name| format!("what `{}` names is read, and loaded as its own code", name.value));
    told("env", variables, format!("sees {}", listed(&names)), note)
}

fn calls(calls: &[Located<String>]) -> Asked {
    if calls.is_empty() {
        return told("calls", calls, "calls nobody".to_owned(), None);
    }
    let names: Vec<String> = calls
        .iter()
        .map(|call| match call.strip_suffix(".*") {
            Some(target) => format!("everything of `{target}`"),
            None => format!("`{}`", call.value),
        })
        .collect();
    let stored = calls.iter().any(|call| call.starts_with("artifact-store."));
    let note = stored.then(|| "artifacts are shared: those of others, too".to_owned());
    told("calls", calls, format!("calls {}", listed(&names)), note)
}

/// `a`, `a and b`, `a, b and c`.
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Manifest;

    /// What each permission of that manifest is in words, with its note.
    fn words(more: &str) -> Vec<(String, Option<String>)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("Symphony.toml");
        fs::write(
            &file,
            format!("[extension]\nname = \"held\"\nversion = \"1.0.0\"\nentry = \"held:extension\"\n{more}"),
        )
        .unwrap();
        fs::write(folder.path().join("held.py"), "").unwrap();
        let manifest = Manifest::read(&file).unwrap().extension.unwrap();
        manifest.asked().into_iter().map(|one| (one.words, one.note)).collect()
    }

    #[test]
    fn what_is_not_asked_for_is_told_too() {
        let told: Vec<String> = words("")
            .into_iter()
            .map(|(words, note)| {
                assert_eq!(note, None, "{words}");
                words
            })
            .collect();
        assert_eq!(
            told,
            [
                "reads nothing of yours",
                "changes and deletes nothing of yours",
                "talks to nobody",
                "starts no program",
                "sees none of your variables",
                "calls nobody",
            ]
        );
    }

    #[test]
    fn hosts_are_told_one_by_one() {
        let of = |hosts: &str| {
            words(&format!("[extension.permissions]\nnetwork = [{hosts}]\n")).swap_remove(2)
        };
        assert_eq!(
            of("\"127.0.0.1:80\""),
            ("talks to `127.0.0.1:80` over TCP, and to nobody else".to_owned(), None)
        );
        let (words, note) = of("\"[::1]:80\", \"*.internal:8080\"");
        assert_eq!(words, "talks to `[::1]:80` and `*.internal:8080` over TCP, and to nobody else");
        assert!(note.is_some_and(|note| note.contains("resolvers")));
    }

    #[test]
    fn what_is_wider_than_it_looks_says_so() {
        let note = |path: &str| {
            words(&format!("[extension.permissions]\nread = [\"{path}\"]\n")).swap_remove(0).1
        };
        for path in ["/", "//", "/etc/..", "/home/", "/root/.", "/./home/x/.."] {
            assert!(note(path).is_some_and(|note| note.contains("everything")), "{path}");
        }
        for path in ["..", "../..", "../x/..", "${workspace}/..", "${system}/a/../..", "./.."] {
            assert!(note(path).is_some_and(|note| note.contains("a folder above")), "{path}");
        }
        for path in [".", "./a/..", "../shared", "/etc/hosts", "${workspace}", "${workspace}/a/.."]
        {
            assert_eq!(note(path), None, "{path}");
        }
    }

    #[test]
    fn everything_that_is_asked_for_is_in_the_words() {
        let told = words(
            r#"[extension.permissions]
read = ["${workspace}", "${system}/rules/", "/etc/hosts", "../shared"]
write = ["${workspace}/out", "/"]
network = true
run = ["git", "/usr/bin/python3.11"]
env = ["OPENAI_API_KEY", "LD_PRELOAD"]
calls = ["artifact-store.*", "rank.score"]
"#,
        );
        let (told, notes): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        assert_eq!(
            told,
            [
                "reads everything in the opened project, `rules` in the folder of the system, `/etc/hosts` and `../shared` from its own folder",
                "changes and deletes `out` in the opened project and `/`",
                "talks to every host",
                "starts `git` and `/usr/bin/python3.11`, within the same permissions",
                "sees `OPENAI_API_KEY` and `LD_PRELOAD`",
                "calls everything of `artifact-store` and `rank.score`",
            ]
        );
        assert_eq!(notes[0], None);
        for (note, said) in notes[1..].iter().zip([
            "`/` is about everything",
            "this machine alone",
            "`/usr/bin/python3.11` runs whatever",
            "`LD_PRELOAD` names",
            "those of others",
        ]) {
            assert!(note.as_ref().is_some_and(|note| note.contains(said)), "{note:?}: {said}");
        }
    }
}
