//! What an annotation asks for, and what a result says that it makes: one set of rules for live objects and for text.
//!
//! Called by the bindings with what only a reader knows: what an annotation is made of. Invariant: whichever of the two is
//! read, the same annotation comes to the same need; the table of generics below is the only one.

use component::NeedKind;

/// More annotations inside each other than anybody writes: a name that stands for itself ends here.
const DEEPEST: u8 = 64;

/// What an annotation is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Form<N, K> {
    /// One type, with its key.
    Type(K),
    /// `None`.
    Nothing,
    /// It stands for another annotation: a text, an alias, a variable of a generic class.
    Same(N),
    /// A generic of that qualified name, with its arguments.
    Of(String, Vec<N>),
    /// `a | b`.
    Union(Vec<N>),
    /// `Annotated[T, …]`, with those of its marks that may name a provider.
    Annotated(N, Vec<Mark>),
}

/// What stands beside a type in `Annotated`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// `Named("…")`: the name of a provider.
    Name(String),
    /// A text: a name where a component has it, and documentation where none has.
    Text(String),
}

/// Tells what annotations are made of.
pub trait Look {
    /// An annotation.
    type Node: Clone;
    /// What one type is known by.
    type Key: PartialEq;
    /// Why it cannot be told.
    type Error;

    /// What an annotation is made of.
    ///
    /// # Errors
    /// It names something that cannot be found, or that its reader cannot follow.
    fn form(&self, node: &Self::Node) -> Result<Form<Self::Node, Self::Key>, Self::Error>;

    /// The key of a generic that means nothing to a container.
    ///
    /// # Errors
    /// As for its form.
    fn key(&self, node: &Self::Node) -> Result<Self::Key, Self::Error>;
}

/// What an annotation asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<K> {
    /// Of what.
    pub key: K,
    /// How many, and when.
    pub kind: NeedKind,
    /// By its handle.
    pub by_handle: bool,
    /// Of which provider.
    pub mark: Option<Mark>,
}

/// Why an annotation asks for no one thing.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread<E> {
    /// Its reader says why.
    Reader(E),
    /// It is `None`, or a union of several types: nothing provides that.
    NoOneThing,
}

impl<E> From<E> for Unread<E> {
    fn from(error: E) -> Self {
        Self::Reader(error)
    }
}

/// The generics that mean something to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generic {
    Late,
    Handle,
    Every,
    Optional,
    Union,
    /// It says something of the parameter, and nothing of the type.
    Around,
    Iterator,
    AsyncIterator,
    Manager,
}

impl Generic {
    fn of(name: &str) -> Option<Self> {
        let (module, name) = name.rsplit_once('.')?;
        let is_ours = module.starts_with("symphony");
        let is_typing = matches!(module, "typing" | "typing_extensions");
        Some(match name {
            "Late" if is_ours => Self::Late,
            "Handle" if is_ours => Self::Handle,
            "Optional" if is_typing => Self::Optional,
            "Union" if is_typing => Self::Union,
            "Final" | "Required" if is_typing => Self::Around,
            "InitVar" if module == "dataclasses" => Self::Around,
            _ if !is_typing && !matches!(module, "collections.abc" | "contextlib") => return None,
            "Sequence" => Self::Every,
            "Iterator" | "Iterable" | "Generator" => Self::Iterator,
            "AsyncIterator" | "AsyncIterable" | "AsyncGenerator" => Self::AsyncIterator,
            "ContextManager"
            | "AsyncContextManager"
            | "AbstractContextManager"
            | "AbstractAsyncContextManager" => Self::Manager,
            _ => return None,
        })
    }
}

/// What an annotation asks for.
///
/// # Errors
/// It asks for no one thing, or its reader cannot tell.
pub fn asked<L: Look>(look: &L, node: &L::Node) -> Result<Asked<L::Key>, Unread<L::Error>> {
    ask(look, node, 0)
}

fn ask<L: Look>(look: &L, node: &L::Node, depth: u8) -> Result<Asked<L::Key>, Unread<L::Error>> {
    if depth > DEEPEST {
        return Err(Unread::NoOneThing);
    }
    let deeper = |inner: &L::Node| ask(look, inner, depth + 1);
    let plain = |key| Asked { key, kind: NeedKind::One, by_handle: false, mark: None };
    let (origin, arguments) = match look.form(node)? {
        Form::Type(key) => return Ok(plain(key)),
        Form::Nothing => return Err(Unread::NoOneThing),
        Form::Same(inner) => return deeper(&inner),
        Form::Union(_) => return ask_union(look, node, depth),
        Form::Annotated(inner, marks) => {
            let asked = deeper(&inner)?;
            let name = marks.iter().find(|mark| matches!(mark, Mark::Name(_)));
            let mark = name.or(marks.first()).cloned().or(asked.mark);
            return Ok(Asked { mark, ..asked });
        }
        Form::Of(origin, arguments) => (origin, arguments),
    };
    let (Some(generic), Some(first)) = (Generic::of(&origin), arguments.first()) else {
        return Ok(plain(look.key(node)?));
    };
    Ok(match generic {
        Generic::Late => Asked { kind: NeedKind::Late, by_handle: true, ..deeper(first)? },
        Generic::Handle => Asked { by_handle: true, ..deeper(first)? },
        Generic::Every => Asked { kind: NeedKind::Every, ..deeper(first)? },
        Generic::Around => deeper(first)?,
        Generic::Optional | Generic::Union => ask_union(look, node, depth)?,
        Generic::Iterator | Generic::AsyncIterator | Generic::Manager => plain(look.key(node)?),
    })
}

/// `T | None` is an optional need of `T`; any other union names no one thing to inject.
fn ask_union<L: Look>(
    look: &L,
    node: &L::Node,
    depth: u8,
) -> Result<Asked<L::Key>, Unread<L::Error>> {
    let (mut parts, mut has_none) = (Vec::new(), false);
    spread(look, node, depth, &mut parts, &mut has_none)?;
    let mut found: Option<Asked<L::Key>> = None;
    let mut several = false;
    for part in &parts {
        let asked = ask(look, part, depth + 1)?;
        // One type twice is that type.
        match &found {
            Some(known) => several |= known.key != asked.key,
            None => found = Some(asked),
        }
    }
    let mut asked = found.filter(|_| !several).ok_or(Unread::NoOneThing)?;
    if has_none && asked.kind == NeedKind::One {
        asked.kind = NeedKind::Optional;
    }
    Ok(asked)
}

/// The parts of a union, and of the unions inside it.
fn spread<L: Look>(
    look: &L,
    node: &L::Node,
    depth: u8,
    parts: &mut Vec<L::Node>,
    has_none: &mut bool,
) -> Result<(), Unread<L::Error>> {
    if depth > DEEPEST {
        return Err(Unread::NoOneThing);
    }
    let inner = match look.form(node)? {
        Form::Nothing => {
            *has_none = true;
            return Ok(());
        }
        Form::Union(inner) => inner,
        Form::Same(inner) => vec![inner],
        Form::Of(origin, inner) => match Generic::of(&origin) {
            Some(Generic::Union) => inner,
            Some(Generic::Optional) => {
                *has_none = true;
                inner
            }
            _ => vec![],
        },
        Form::Type(_) | Form::Annotated(..) => vec![],
    };
    if inner.is_empty() {
        // One that is made of no others is a part itself.
        parts.push(node.clone());
        return Ok(());
    }
    inner.iter().try_for_each(|part| spread(look, part, depth + 1, parts, has_none))
}

/// How a factory gives what it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It returns it.
    Returned,
    /// It yields it.
    Yielded,
    /// It yields it, and is asynchronous.
    AsyncYielded,
    /// It returns what is entered.
    Entered,
}

/// What a factory makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made<K> {
    /// Of what type.
    pub key: K,
    /// It may make none.
    pub may_be_none: bool,
}

/// What the result of a factory says that it makes; nothing where it says that it returns nothing.
///
/// # Errors
/// It says no one thing, or its reader cannot tell.
pub fn made<L: Look>(
    look: &L,
    node: &L::Node,
    life: Life,
) -> Result<Option<Made<L::Key>>, Unread<L::Error>> {
    let mut node = node.clone();
    for _ in 0..DEEPEST {
        let wanted = match (look.form(&node)?, life) {
            (Form::Same(inner), _) => {
                node = inner;
                continue;
            }
            (Form::Nothing, Life::Returned | Life::Entered) => return Ok(None),
            (Form::Of(origin, arguments), _) => match (Generic::of(&origin), life) {
                (Some(Generic::Iterator), Life::Yielded)
                | (Some(Generic::AsyncIterator), Life::AsyncYielded)
                | (Some(Generic::Manager), Life::Entered) => arguments.into_iter().next(),
                (_, Life::Yielded | Life::AsyncYielded) => None,
                _ => Some(node),
            },
            (_, Life::Yielded | Life::AsyncYielded) => None,
            _ => Some(node),
        };
        let node = wanted.ok_or(Unread::NoOneThing)?;
        if life != Life::Returned && is_nothing(look, &node)? {
            return Ok(None);
        }
        let asked = asked(look, &node)?;
        return Ok(Some(Made { key: asked.key, may_be_none: asked.kind == NeedKind::Optional }));
    }
    Err(Unread::NoOneThing)
}

fn is_nothing<L: Look>(look: &L, node: &L::Node) -> Result<bool, L::Error> {
    let mut node = node.clone();
    for _ in 0..DEEPEST {
        match look.form(&node)? {
            Form::Nothing => return Ok(true),
            Form::Same(inner) => node = inner,
            _ => break,
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads what looks like Python: `a`, `None`, `g[a, b]`, `a | b`, `"a"`, `@text a`, `?a`.
    struct Text;

    impl Look for Text {
        type Node = String;
        type Key = String;
        type Error = String;

        fn form(&self, node: &String) -> Result<Form<String, String>, String> {
            let own = str::to_owned;
            if let Some(name) = node.strip_prefix('?') {
                return Err(own(name));
            }
            if let Some((text, inner)) = node.strip_prefix('@').and_then(|it| it.split_once(' ')) {
                let mark = match text.strip_prefix('!') {
                    Some(name) => Mark::Name(own(name)),
                    None => Mark::Text(own(text)),
                };
                return Ok(Form::Annotated(own(inner), vec![Mark::Text(own("first")), mark]));
            }
            if node == "None" {
                return Ok(Form::Nothing);
            }
            if let Some(inner) = node.strip_prefix('"').and_then(|it| it.strip_suffix('"')) {
                return Ok(Form::Same(own(inner)));
            }
            if let Some((origin, inner)) = node.strip_suffix(']').and_then(|it| it.split_once('['))
                && (!inner.contains(" | ") || !node.contains("] | "))
            {
                return Ok(Form::Of(own(origin), inner.split(", ").map(own).collect()));
            }
            if node.contains(" | ") {
                return Ok(Form::Union(node.split(" | ").map(own).collect()));
            }
            Ok(Form::Type(own(node)))
        }

        fn key(&self, node: &String) -> Result<String, String> {
            Ok(node.clone())
        }
    }

    fn told(text: &str) -> String {
        match asked(&Text, &text.to_owned()) {
            Ok(asked) => {
                let handle = if asked.by_handle { " handle" } else { "" };
                let mark = asked.mark.map(|mark| format!(" {mark:?}")).unwrap_or_default();
                format!("{:?} {}{handle}{mark}", asked.kind, asked.key)
            }
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn an_annotation_asks_for_one_thing_or_for_none() {
        for (text, expected) in [
            ("A", "One A"),
            ("\"A\"", "One A"),
            ("A | None", "Optional A"),
            ("typing.Optional[\"A | None\"]", "Optional A"),
            ("typing.Union[A, A]", "One A"),
            ("A | B", "NoOneThing"),
            ("A | ?Ghost", "Reader(\"Ghost\")"),
            ("None", "NoOneThing"),
            ("symphony.Late[A]", "Late A handle"),
            ("symphony.Handle[A]", "One A handle"),
            ("typing.Sequence[symphony.Handle[A]]", "Every A handle"),
            ("dataclasses.InitVar[A]", "One A"),
            ("other.Late[A]", "One other.Late[A]"),
            ("collections.abc.Iterator[A]", "One collections.abc.Iterator[A]"),
        ] {
            assert_eq!(told(text), expected, "{text}");
        }
    }

    #[test]
    fn a_name_goes_before_a_text() {
        assert_eq!(told("@!spare A"), "One A Name(\"spare\")");
        assert_eq!(told("@doc A"), "One A Text(\"first\")");
    }

    #[test]
    fn a_name_that_stands_for_itself_comes_to_an_end() {
        struct Loop;
        impl Look for Loop {
            type Node = ();
            type Key = ();
            type Error = ();
            fn form(&self, (): &()) -> Result<Form<(), ()>, ()> {
                Ok(Form::Same(()))
            }
            fn key(&self, (): &()) -> Result<(), ()> {
                Ok(())
            }
        }
        assert_eq!(asked(&Loop, &()), Err(Unread::NoOneThing));
        assert_eq!(made(&Loop, &(), Life::Returned), Err(Unread::NoOneThing));
    }

    #[test]
    fn a_result_says_what_is_made_by_the_life_of_its_factory() {
        let told = |text: &str, life| match made(&Text, &text.to_owned(), life) {
            Ok(Some(made)) => format!("{}{}", made.key, if made.may_be_none { "?" } else { "" }),
            Ok(None) => "nothing".to_owned(),
            Err(error) => format!("{error:?}"),
        };
        assert_eq!(told("A", Life::Returned), "A");
        assert_eq!(told("A | None", Life::Returned), "A?");
        assert_eq!(told("None", Life::Returned), "nothing");
        assert_eq!(told("\"typing.Iterator[A]\"", Life::Yielded), "A");
        assert_eq!(told("typing.Iterator[None]", Life::Yielded), "nothing");
        assert_eq!(told("typing.AsyncIterator[A]", Life::Yielded), "NoOneThing");
        assert_eq!(told("A", Life::Yielded), "NoOneThing");
        assert_eq!(told("typing.ContextManager[A]", Life::Entered), "A");
        assert_eq!(told("A", Life::Entered), "A");
    }
}
