//! Contracts: whether what provides a `Protocol` has its methods and attributes, as a type checker would see it.
//!
//! Called by the bindings for what was read from live objects and from text alike. Invariant: a difference is a fault only
//! where it is plain; what is not known is no fault, and what a text hides is a note.

use component::{Code, Diagnostic, Location, Severity};

use crate::graph::signature::{Signature, refusal};

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberKind {
    /// It is called.
    Method,
    /// It is read.
    Attribute,
    /// Only running it would tell.
    Unknown,
}

impl MemberKind {
    /// What people read for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Attribute => "attribute",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether a result, or a value, is of a type that is said and that can be neither awaited nor called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plainness {
    /// It is.
    Plain,
    /// It is not, or nothing says so.
    Other,
    /// The text hides it.
    Hidden,
}

/// A method or an attribute, of a Protocol or of what provides it.
#[derive(Clone, Copy)]
pub struct Member<'a> {
    /// What it is.
    pub kind: MemberKind,
    /// What a method may be called with.
    pub signature: Option<&'a Signature>,
    /// It is a coroutine function.
    pub is_async: bool,
    /// Of its type; asked only where it matters, because a type may have to be imported.
    pub plainness: &'a dyn Fn() -> Plainness,
}

/// What a comparison comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is what is asked for, or may be.
    Fits,
    /// It is not.
    Differs(String),
    /// What a text hides may make it differ.
    Hidden,
}

/// The names that a Protocol's body has for the language, or that nobody calls on an instance.
const NOT_ASKED: &[&str] = &[
    "__init__",
    "__new__",
    "__del__",
    "__getattr__",
    "__getattribute__",
    "__init_subclass__",
    "__class_getitem__",
    "__subclasshook__",
    "__annotate__",
    "__annotate_func__",
    "__static_attributes__",
    "__conditional_annotations__",
    "_is_protocol",
    "_is_runtime_protocol",
];

/// Whether a name in the body of a Protocol is one that it asks for.
pub fn is_asked(name: &str, kind: MemberKind) -> bool {
    if NOT_ASKED.contains(&name) || name.starts_with("_abc_") {
        return false;
    }
    !name.starts_with("__") || (name.ends_with("__") && kind == MemberKind::Method)
}

/// Who provides a Protocol, as people read it.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// The component's name.
    pub component: &'a str,
    /// The class that provides.
    pub made: &'a str,
    /// The Protocol.
    pub protocol: &'a str,
}

impl Claim<'_> {
    /// The message for a member that is not there.
    pub fn absent(&self, name: &str, asked: MemberKind) -> String {
        let (made, protocol) = (self.made, self.protocol);
        format!("`{made}` provides `{protocol}` and has no {} `{name}`", asked.as_str())
    }

    /// Whether a member is what the Protocol asks for.
    pub fn judge(&self, name: &str, asked: Member<'_>, given: Member<'_>) -> Verdict {
        if given.kind == MemberKind::Unknown && (given.plainness)() == Plainness::Hidden {
            let is_method = asked.kind == MemberKind::Method;
            return if is_method { Verdict::Hidden } else { Verdict::Fits };
        }
        if let Some(text) = self.difference(name, asked, given, &|one| one == Plainness::Plain) {
            return Verdict::Differs(text);
        }
        // If what the text does not tell of them is the worst.
        match self.difference(name, asked, given, &|one| one != Plainness::Other) {
            Some(_) => Verdict::Hidden,
            None => Verdict::Fits,
        }
    }

    /// The message for a member that is not what the Protocol asks for.
    fn difference(
        &self,
        name: &str,
        asked: Member<'_>,
        given: Member<'_>,
        is_plain: &dyn Fn(Plainness) -> bool,
    ) -> Option<String> {
        use MemberKind::{Attribute, Method};
        let asked_text = format!("`{}.{name}`", self.protocol);
        let asked_plain = || is_plain((asked.plainness)());
        let given_plain = || is_plain((given.plainness)());
        let told = match (asked.kind, given.kind) {
            (Method, Attribute) if given_plain() => {
                format!("is no method, and {asked_text} is one")
            }
            (Attribute, Method) if asked_plain() => {
                format!("is a method, and {asked_text} is none")
            }
            (Method, Method) if asked.is_async && !given.is_async && given_plain() => {
                format!("is not `async`, and {asked_text} is")
            }
            (Method, Method) if given.is_async && !asked.is_async && asked_plain() => {
                format!("is `async`, and {asked_text} is not")
            }
            (Method, Method) => refusal(&asked_text, asked.signature?, given.signature?)?,
            _ => return None,
        };
        Some(format!("`{}.{name}` {told}", self.made))
    }

    /// The fault, with both places.
    ///
    /// # Arguments
    /// * `given` - where what is provided stands, and what people read for it.
    /// * `asked` - the same of the Protocol's member.
    /// * `wanted` - how the Protocol writes it.
    pub fn fault(
        &self,
        text: String,
        given: (Option<Location>, String),
        asked: (Option<Location>, String),
        wanted: Option<&str>,
    ) -> Diagnostic {
        let mut fault = Diagnostic::error(Code::CONTRACT_MISMATCH, text)
            .at(given.0.clone())
            .related(given.0, format!("`{}`", given.1))
            .related(asked.0, format!("`{}`", asked.1));
        fault.path = vec![self.component.to_owned(), self.protocol.to_owned()];
        fault.hint = wanted.map(|wanted| format!("`{}` asks for `{wanted}`", self.protocol));
        fault
    }

    /// The note on something that the text alone does not tell.
    pub fn note(&self, text: &str, place: Option<Location>) -> Diagnostic {
        unfollowed(self.component, text, place)
    }
}

/// The note on something of which only its import would tell.
pub fn unfollowed(component: &str, text: &str, place: Option<Location>) -> Diagnostic {
    let text = format!("{text}, which cannot be followed without importing");
    let mut note = Diagnostic::error(Code::UNVERIFIED, text).severity(Severity::Note).at(place);
    note.path = vec![component.to_owned()];
    note
}

/// The fault of a client's Protocol that names what its extension does not declare.
pub fn client_fault(
    protocol: &str,
    method: &str,
    extension: &str,
    declared: &[String],
    asked: Option<Location>,
    manifest: Option<Location>,
) -> Diagnostic {
    let known: Vec<String> = declared.iter().map(|name| format!("`{name}`")).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    let text =
        format!("`{protocol}` names `{method}`, which extension `{extension}` does not declare");
    let mut fault = Diagnostic::error(Code::CONTRACT_MISMATCH, text)
        .at(asked.clone())
        .hint(format!("extension `{extension}` declares {known}"))
        .related(asked, format!("`{protocol}.{method}`"))
        .related(manifest, format!("extension `{extension}`"));
    fault.path = vec![protocol.to_owned(), extension.to_owned()];
    fault
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIM: Claim<'_> = Claim { component: "dog", made: "Dog", protocol: "Speaker" };

    fn judge(
        asked: (MemberKind, bool, Plainness),
        given: (MemberKind, bool, Plainness),
    ) -> Verdict {
        let (asked_plain, given_plain) = (move || asked.2, move || given.2);
        let member =
            |kind, is_async, plainness| Member { kind, signature: None, is_async, plainness };
        CLAIM.judge(
            "f",
            member(asked.0, asked.1, &asked_plain),
            member(given.0, given.1, &given_plain),
        )
    }

    #[test]
    fn only_a_plain_difference_is_a_fault() {
        use MemberKind::{Attribute, Method, Unknown};
        use Plainness::{Hidden, Other, Plain};
        let method = (Method, false, Other);
        let text = "`Dog.f` is no method, and `Speaker.f` is one".to_owned();
        assert_eq!(judge(method, (Attribute, false, Plain)), Verdict::Differs(text));
        assert_eq!(judge(method, (Attribute, false, Other)), Verdict::Fits);
        assert_eq!(judge(method, (Attribute, false, Hidden)), Verdict::Hidden);
        assert_eq!(judge(method, (Unknown, false, Other)), Verdict::Fits);
        assert_eq!(judge(method, (Unknown, false, Hidden)), Verdict::Hidden);
        let text = "`Dog.f` is `async`, and `Speaker.f` is not".to_owned();
        let plain = (Method, false, Plain);
        assert_eq!(judge(plain, (Method, true, Plain)), Verdict::Differs(text));
    }

    #[test]
    fn a_type_is_not_looked_up_where_nothing_hangs_on_it() {
        let never = || -> Plainness { panic!("it was looked up") };
        let one =
            Member { kind: MemberKind::Method, signature: None, is_async: true, plainness: &never };
        assert_eq!(CLAIM.judge("f", one, one), Verdict::Fits);
    }

    #[test]
    fn what_the_language_has_is_not_asked_for() {
        assert!(
            is_asked("__call__", MemberKind::Method) && is_asked("name", MemberKind::Attribute)
        );
        assert!(!is_asked("__slots__", MemberKind::Attribute));
        assert!(!is_asked("__init__", MemberKind::Method));
        assert!(
            !is_asked("__hidden", MemberKind::Method)
                && !is_asked("_abc_impl", MemberKind::Unknown)
        );
    }
}
