//! What makes the description of one component lawful, before there is a graph: words, names, threads, annotations.
//!
//! Called by the bindings for what was read from live objects and from text alike. Invariant: whichever of the two was read,
//! the fault has the same code, words and hint; where it was written is added by who read it.

use std::collections::HashMap;

use component::{Code, Phase};

use crate::graph::constructor::Refusal;

/// What a fault of a description says, without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Its code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// A word of a closed set that is none of it.
pub fn no_such<'a>(
    one: &str,
    many: &str,
    word: &str,
    known: impl Iterator<Item = &'a str>,
) -> Advice {
    let known: Vec<&str> = known.collect();
    Advice {
        code: Code::INVALID_VALUE,
        message: format!("there is no {one} `{word}`"),
        hint: format!("the {many} are {}", known.join(", ")),
    }
}

/// An annotation that cannot be used.
#[derive(Debug, Clone, Copy)]
pub enum Unusable<'a> {
    /// A parameter has none.
    Absent(&'a str),
    /// A parameter's names what its module cannot resolve.
    Needed(&'a str),
    /// A result's does.
    Made(&'a str),
    /// A function has none for its result.
    Silent,
    /// Something else that is called cannot have one.
    Mute,
}

impl Unusable<'_> {
    /// The fault of a component of that name, in that module.
    pub fn advice(self, name: &str, module: &str) -> Advice {
        let (message, hint) = match self {
            Self::Absent(parameter) => (
                format!("parameter `{parameter}` of `{name}` has no annotation"),
                format!("annotate `{parameter}` with the type to inject, or give it a default"),
            ),
            Self::Needed(text) => (
                format!("`{name}` needs `{text}`, which `{module}` cannot resolve"),
                import(text, module),
            ),
            Self::Made(text) => (
                format!("`{name}` makes `{text}`, which `{module}` cannot resolve"),
                import(text, module),
            ),
            Self::Silent => (
                format!("`{name}` does not say what it makes"),
                format!("annotate its result: `def {name}(...) -> …`"),
            ),
            Self::Mute => {
                (format!("`{name}` does not say what it makes"), "wrap it in a function".to_owned())
            }
        };
        Advice { code: Code::UNRESOLVED_ANNOTATION, message, hint }
    }
}

/// Why a class or a factory cannot be built by injection.
#[derive(Debug, Clone)]
pub enum NotInjectable<'a> {
    /// Its class lacks what it has to have.
    Abstract(&'a [String]),
    /// It is a `Protocol`.
    Protocol,
    /// Calling it makes something else.
    Plain,
    /// It is to be entered, and cannot be.
    NotEntered,
    /// A cached generator or coroutine, which can be used once.
    Cached,
    /// Its constructor does not tell what it takes.
    Constructor(Refusal),
}

impl NotInjectable<'_> {
    /// The fault of a component of that name.
    pub fn advice(&self, name: &str) -> Advice {
        let (message, hint) = match self {
            Self::Abstract(lacks) => {
                let lacks: Vec<String> = lacks.iter().map(|one| format!("`{one}`")).collect();
                (
                    format!("`{name}` is abstract: it lacks {}", lacks.join(", ")),
                    "register a class that has all of it".to_owned(),
                )
            }
            Self::Protocol => (
                format!("`{name}` is a `Protocol`, which has no objects of its own"),
                format!("register a class that provides it: `@component(provides={name})`"),
            ),
            Self::Plain => (
                format!("`{name}` makes no object of its own class when it is called"),
                format!("register a function that makes it: `def make(...) -> {name}`"),
            ),
            Self::NotEntered => (
                format!("`{name}` says `enter=True` and has no `__enter__` and `__exit__`"),
                "give its class both, or leave `enter` out".to_owned(),
            ),
            Self::Cached => (
                format!("`{name}` is cached, and what it gives can be used only once"),
                "leave the cache out: a component is made once for each system".to_owned(),
            ),
            Self::Constructor(Refusal::Hidden(label)) => (
                format!("`{label}` does not say what it takes"),
                "name its parameters, with annotations; a decorator keeps them with \
                 `functools.wraps`"
                    .to_owned(),
            ),
            Self::Constructor(Refusal::Captured(label, parameter)) => (
                format!("`{label}` does not pass on `{parameter}`, which is needed after it"),
                format!("pass it on, or give `{parameter}` a default"),
            ),
            Self::Constructor(Refusal::Different(parameter)) => (
                format!(
                    "`{name}.__new__` and `{name}.__init__` are called alike, and only one of \
                     them takes `{parameter}`"
                ),
                "let both take it, or one of them `*args` and `**kwargs`".to_owned(),
            ),
        };
        Advice { code: Code::NOT_INJECTABLE, message, hint }
    }
}

/// A deadline that a component gives itself.
///
/// # Errors
/// It is no positive number of seconds.
pub fn known_timeout(seconds: f64) -> Result<(), Advice> {
    if seconds > 0.0 {
        return Ok(());
    }
    let message = format!("`timeout` takes a positive number of seconds, not {seconds}");
    let hint = "leave it out for the default, 10 seconds".to_owned();
    Err(Advice { code: Code::INVALID_VALUE, message, hint })
}

/// A single name can be imported; of anything else only its form can be wrong.
fn import(text: &str, module: &str) -> String {
    let mut letters = text.chars();
    let is_name = letters.next().is_some_and(|first| first == '_' || first.is_alphabetic())
        && letters.all(|letter| letter == '_' || letter.is_alphanumeric());
    if is_name {
        format!("import `{text}` in `{module}`, also under `if TYPE_CHECKING:`")
    } else {
        "annotate with one type, `Optional[T]`, `Sequence[T]`, `Handle[T]` or `Late[T]`".to_owned()
    }
}

/// What forbids `main_thread=True`: another phase, in which that thread is elsewhere, and a step that needs a loop.
pub fn thread_faults(name: &str, phase: Phase, is_async: bool) -> Vec<Advice> {
    let mut found = Vec::new();
    if phase != Phase::Conductor {
        found.push(Advice {
            code: Code::PHASE_ORDER,
            message: format!("`{name}` says `main_thread=True` in phase `{phase}`"),
            hint: "leave `phase` out: the calling thread serves phase `conductor` only".to_owned(),
        });
    }
    if is_async {
        found.push(Advice {
            code: Code::WRONG_THREAD,
            message: format!("`{name}` has an async step and says `main_thread=True`"),
            hint: "make its steps synchronous, or leave `main_thread` out".to_owned(),
        });
    }
    found
}

/// How a component is called, and what tells it from another one of that name.
#[derive(Debug, Clone)]
pub struct Called {
    /// Its name.
    pub name: String,
    /// A person gave it that name.
    pub is_given: bool,
    /// The module that defines it.
    pub module: String,
    /// The same for one definition that stands there twice.
    pub identity: String,
}

impl Called {
    fn qualified(&self) -> String {
        format!("{}.{}", self.module, self.name)
    }
}

/// The new names of those that need one: different definitions of one name get their module in front.
pub fn qualified_names(called: &[Called]) -> Vec<(usize, String)> {
    let mut by_name: HashMap<&str, Vec<usize>> = HashMap::with_capacity(called.len());
    for (place, one) in called.iter().enumerate().filter(|(_, one)| !one.is_given) {
        by_name.entry(&one.name).or_default().push(place);
    }
    let mut renamed: Vec<(usize, String)> = by_name
        .into_values()
        .filter(|same| same.iter().any(|at| called[*at].identity != called[same[0]].identity))
        .flatten()
        .map(|at| (at, called[at].qualified()))
        .collect();
    renamed.sort_unstable();
    renamed
}

/// The new name of a Conductor that shares its own with a component; the one of the same definition does not make it so.
pub fn conductor_name(conductor: &Called, others: &[Called]) -> Option<String> {
    let is_shared = others.iter().any(|other| {
        other.name == conductor.name && !other.is_given && other.identity != conductor.identity
    });
    (is_shared && !conductor.is_given).then(|| conductor.qualified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(name: &str, module: &str, identity: &str) -> Called {
        let (name, module) = (name.to_owned(), module.to_owned());
        Called { name, is_given: false, module, identity: identity.to_owned() }
    }

    #[test]
    fn different_definitions_of_one_name_get_their_module_in_front() {
        let all = [called("A", "one", "1"), called("B", "one", "2"), called("A", "two", "3")];
        assert_eq!(qualified_names(&all), [(0, "one.A".to_owned()), (2, "two.A".to_owned())]);
    }

    #[test]
    fn one_definition_twice_keeps_its_name_and_so_does_one_that_was_given() {
        let mut given = called("A", "two", "2");
        given.is_given = true;
        assert!(
            qualified_names(&[called("A", "one", "1"), called("A", "one", "1"), given]).is_empty()
        );
    }

    #[test]
    fn a_conductor_gives_way_to_a_component_of_its_name() {
        let other = called("A", "one", "1");
        assert_eq!(
            conductor_name(&called("A", "two", "2"), std::slice::from_ref(&other)).as_deref(),
            Some("two.A")
        );
        assert_eq!(conductor_name(&other.clone(), &[other]), None);
    }

    #[test]
    fn a_text_that_is_no_name_cannot_be_imported() {
        assert!(Unusable::Needed("Ghost").advice("A", "m").hint.starts_with("import `Ghost`"));
        assert!(Unusable::Needed("A | B").advice("A", "m").hint.starts_with("annotate with one"));
    }
}
