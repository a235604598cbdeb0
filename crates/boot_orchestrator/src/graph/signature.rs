//! Signatures: whether every call that a Protocol allows is one that a method takes.
//!
//! Called by `contract.rs`. Names of parameters that may be given by position may differ, as mypy has it, but not stand in
//! another order.

/// A parameter that may be given by position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// It has a default.
    pub has_default: bool,
    /// It can be given in no other way.
    pub is_positional_only: bool,
}

/// What a method may be called with, without `self`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signature {
    /// Those that may be given by position.
    pub positional: Vec<Parameter>,
    /// The keyword-only ones, and whether each has a default.
    pub keywords: Vec<(String, bool)>,
    /// It takes `*args`.
    pub star: bool,
    /// It takes `**kwargs`.
    pub stars: bool,
}

impl Parameter {
    /// A parameter; a name says by the convention from before `/` that it is positional only.
    pub fn new(name: String, has_default: bool, is_positional_only: bool) -> Self {
        let by_name = name.starts_with("__") && !name.ends_with("__");
        Self { name, has_default, is_positional_only: is_positional_only || by_name }
    }
}

impl Signature {
    /// Whether it takes a keyword of that name, and can do without.
    fn keyword(&self, name: &str) -> Option<bool> {
        let only = self.keywords.iter().find(|(known, _)| known == name).map(|(_, has)| *has);
        only.or_else(|| {
            let named = self.positional.iter().filter(|one| !one.is_positional_only);
            named.rev().find(|one| one.name == name).map(|one| one.has_default)
        })
    }

    fn has_keyword_only(&self, name: &str) -> bool {
        self.keywords.iter().any(|(known, _)| known == name)
    }
}

/// What is said of a method that refuses some call which the Protocol allows.
pub(crate) fn refusal(asked_text: &str, asked: &Signature, given: &Signature) -> Option<String> {
    if asked.star && asked.stars {
        // `(*args, **kwargs)` is how a Protocol says that it does not care.
        return None;
    }
    refused(asked_text, asked, given)
        .or_else(|| refused_keyword(asked_text, asked, given))
        .or_else(|| demanded(asked_text, asked, given))
        .or_else(|| {
            let sort = match (asked.star && !given.star, asked.stars && !given.stars) {
                (true, _) => "*",
                (_, true) => "**",
                _ => return None,
            };
            Some(format!("does not take `{sort}` arguments, which {asked_text} does"))
        })
}

/// The first argument of the Protocol that the method does not take, or not in that way.
fn refused(asked_text: &str, asked: &Signature, given: &Signature) -> Option<String> {
    let place = |name: &str| {
        given.positional.iter().rposition(|one| !one.is_positional_only && one.name == name)
    };
    asked.positional.iter().enumerate().find_map(|(index, one)| {
        let name = &one.name;
        if !one.is_positional_only && place(name).is_some_and(|place| place != index) {
            return Some(format!("takes `{name}` in another place than {asked_text} gives it"));
        }
        let Some(taken) = given.positional.get(index) else {
            let text = || format!("does not take `{name}`, which {asked_text} gives");
            return (!given.star).then(text);
        };
        let taken_name = &taken.name;
        if one.has_default && !taken.has_default {
            return Some(format!("needs `{taken_name}`, which {asked_text} may leave out"));
        }
        let is_other = taken.is_positional_only || taken_name != name;
        (given.stars && !one.is_positional_only && !taken.has_default && is_other).then(|| {
            format!(
                "takes `{name}=` among its `**` arguments, where {asked_text} means `{taken_name}`"
            )
        })
    })
}

/// The first keyword of the Protocol that the method does not take, or cannot do without.
fn refused_keyword(asked_text: &str, asked: &Signature, given: &Signature) -> Option<String> {
    asked.keywords.iter().find_map(|(name, has_default)| match given.keyword(name) {
        None => {
            (!given.stars).then(|| format!("does not take `{name}=`, which {asked_text} gives"))
        }
        Some(can_do_without) => (*has_default && !can_do_without)
            .then(|| format!("needs `{name}`, which {asked_text} may leave out")),
    })
}

/// The first argument that the method cannot do without and the Protocol does not give.
fn demanded(asked_text: &str, asked: &Signature, given: &Signature) -> Option<String> {
    let more = given.positional.iter().skip(asked.positional.len());
    let positional = more.map(|one| (&one.name, one.has_default));
    let keywords = given.keywords.iter().map(|(name, has_default)| (name, *has_default));
    let (name, _) = positional
        .chain(keywords)
        .find(|(name, has_default)| !has_default && !asked.has_keyword_only(name))?;
    Some(format!("needs `{name}`, which {asked_text} does not give"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a`, `a=`, `*a`, `**a`; behind `/` and `*` as in Python.
    fn signature(text: &str) -> Signature {
        let mut made = Signature::default();
        let mut is_keyword = false;
        for part in text.split(", ").filter(|part| !part.is_empty()) {
            let (name, has_default) =
                part.strip_suffix('=').map_or((part, false), |name| (name, true));
            match part {
                "/" => made.positional.iter_mut().for_each(|one| one.is_positional_only = true),
                "*" => is_keyword = true,
                _ if part.starts_with("**") => made.stars = true,
                _ if part.starts_with('*') => (made.star, is_keyword) = (true, true),
                _ if is_keyword => made.keywords.push((name.to_owned(), has_default)),
                _ => made.positional.push(Parameter::new(name.to_owned(), has_default, false)),
            }
        }
        made
    }

    #[test]
    fn a_call_that_would_be_refused_is_told() {
        for (asked, given, expected) in [
            ("a", "b", ""),
            ("a", "", "does not take `a`, which `P.f` gives"),
            ("a", "*all", ""),
            ("", "a", "needs `a`, which `P.f` does not give"),
            ("", "a=, *, b=", ""),
            ("a, b", "b, a", "takes `a` in another place than `P.f` gives it"),
            ("a=", "a", "needs `a`, which `P.f` may leave out"),
            ("*, a", "a", ""),
            ("*, a", "", "does not take `a=`, which `P.f` gives"),
            ("*, a=", "*, a", "needs `a`, which `P.f` may leave out"),
            ("a", "b, **more", "takes `a=` among its `**` arguments, where `P.f` means `b`"),
            ("__a", "b, **more", ""),
            ("*all", "", "does not take `*` arguments, which `P.f` does"),
            ("**more", "", "does not take `**` arguments, which `P.f` does"),
            ("*all, **more", "a, *, b", ""),
        ] {
            let told = refusal("`P.f`", &signature(asked), &signature(given));
            assert_eq!(told.unwrap_or_default(), expected, "({asked}) against ({given})");
        }
    }
}
