//! Which parameters a class takes: what its metaclass's `__call__`, its `__new__` and its `__init__` ask for together.
//!
//! Called by the bindings with what was read of live classes and of text alike. Invariant: what is chosen is what Python
//! would take in a call by name; where that cannot be known, the class is refused and not guessed.

use crate::graph::signature::Signature;

/// What becomes of the `*` and `**` arguments that somebody takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Passing {
    /// They stay where they are.
    Kept,
    /// They go to the next one in the order of resolution.
    On {
        /// How many are given by position before them.
        positional: usize,
        /// What is given by name beside them.
        names: Vec<String>,
        /// The `*` arguments are among them.
        star: bool,
        /// The `**` arguments are.
        stars: bool,
    },
    /// Nobody knows.
    Hidden,
}

/// Something of a class that Python calls with the arguments of a construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maker {
    /// What people read for it: `Planner.__init__`.
    pub label: String,
    /// What it takes, without its first.
    pub signature: Signature,
    /// What becomes of the rest.
    pub passing: Passing,
}

/// A parameter that a construction takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chosen {
    /// Of which of the three: `__call__`, `__new__`, `__init__`.
    pub group: usize,
    /// Of which of its group.
    pub maker: usize,
    /// Its name.
    pub name: String,
    /// It has a default.
    pub has_default: bool,
    /// It has to be given by position.
    pub is_positional: bool,
    is_keyword_only: bool,
}

/// Why a class or a factory cannot be built by injection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It takes what it does not say.
    Hidden(String),
    /// It takes a parameter itself that the next one needs as well.
    Captured(String, String),
    /// `__new__` and `__init__` are called alike and do not take the same.
    Different(String),
}

/// The parameters that a construction takes.
///
/// # Arguments
/// * `groups` - each `__call__`, `__new__` and `__init__`, in the order of resolution.
///
/// # Errors
/// They cannot be known, or no call would be taken by all.
pub fn constructor(groups: &[Vec<Maker>; 3]) -> Result<Vec<Chosen>, Refusal> {
    let [calls, news, inits] = groups;
    let made = || {
        let none = || Ok(Vec::new());
        let (new, init) = (chain(1, news, 0, &none)?, chain(2, inits, 0, &none)?);
        if news.is_empty() || inits.is_empty() {
            return Ok([new, init].concat());
        }
        let mut both = shared(&init, &new, &news[0].signature)?;
        let more = shared(&new, &init, &inits[0].signature)?;
        both.extend(more.into_iter().filter(|one| init.iter().all(|known| known.name != one.name)));
        Ok(both)
    };
    chain(0, calls, 0, &made)
}

/// What one of `__new__` and `__init__` takes and the other one takes as well.
fn shared(these: &[Chosen], others: &[Chosen], other: &Signature) -> Result<Vec<Chosen>, Refusal> {
    let mut kept = Vec::with_capacity(these.len());
    for one in these {
        let is_known = others.iter().any(|known| known.name == one.name);
        if is_known || (other.stars && !one.is_positional) || (other.star && one.is_positional) {
            kept.push(one.clone());
        } else if !one.has_default {
            return Err(Refusal::Different(one.name.clone()));
        }
    }
    Ok(kept)
}

/// What one takes, and those take that it passes the rest on to.
fn chain(
    group: usize,
    makers: &[Maker],
    at: usize,
    last: &dyn Fn() -> Result<Vec<Chosen>, Refusal>,
) -> Result<Vec<Chosen>, Refusal> {
    let Some(maker) = makers.get(at) else { return last() };
    let mut own = own(group, at, &maker.signature);
    let Passing::On { positional, names, star, stars } = &maker.passing else {
        let is_known =
            maker.passing == Passing::Kept || chain(group, makers, at + 1, last)?.is_empty();
        return is_known.then_some(own).ok_or_else(|| Refusal::Hidden(maker.label.clone()));
    };
    let mut skipped = 0;
    for mut one in chain(group, makers, at + 1, last)? {
        if skipped < *positional && !one.is_keyword_only {
            skipped += 1;
            continue;
        }
        if names.contains(&one.name) {
            continue;
        }
        let is_captured = own.iter().any(|known| known.name == one.name);
        if *stars && !one.is_positional && !is_captured {
            own.push(one);
        } else if *star && !one.is_keyword_only && !is_captured {
            one.is_positional = true;
            for known in &mut own {
                known.is_positional |= !known.is_keyword_only;
            }
            own.push(one);
        } else if !one.has_default {
            return Err(Refusal::Captured(maker.label.clone(), one.name));
        }
    }
    Ok(own)
}

fn own(group: usize, maker: usize, signature: &Signature) -> Vec<Chosen> {
    let positional = signature.positional.iter().map(|one| Chosen {
        group,
        maker,
        name: one.name.clone(),
        has_default: one.has_default,
        is_positional: one.is_positional_only,
        is_keyword_only: false,
    });
    let keywords = signature.keywords.iter().map(|(name, has_default)| Chosen {
        group,
        maker,
        name: name.clone(),
        has_default: *has_default,
        is_positional: false,
        is_keyword_only: true,
    });
    positional.chain(keywords).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::signature::Parameter;

    /// `a`, `a=`, `*`, `**`; `.` hides the rest, `>` passes it on, `>1` after one by position, `>x` with `x` by name.
    fn maker(text: &str) -> Maker {
        let mut signature = Signature::default();
        let mut passing = Passing::Kept;
        for part in text.split_whitespace() {
            let (name, has_default) = part.strip_suffix('=').map_or((part, false), |it| (it, true));
            match part {
                "*" => signature.star = true,
                "**" => signature.stars = true,
                "." => passing = Passing::Hidden,
                _ if part.starts_with('>') => {
                    let given = &part[1..];
                    let positional = given.parse().unwrap_or(0);
                    let names = vec![given.to_owned()];
                    let (star, stars) = (signature.star, signature.stars);
                    passing = Passing::On { positional, names, star, stars };
                }
                _ => signature.positional.push(Parameter::new(name.to_owned(), has_default, false)),
            }
        }
        Maker { label: format!("({text})"), signature, passing }
    }

    fn told(calls: &[&str], news: &[&str], inits: &[&str]) -> String {
        let group = |texts: &[&str]| texts.iter().map(|text| maker(text)).collect();
        match constructor(&[group(calls), group(news), group(inits)]) {
            Ok(chosen) => {
                let text = |one: &Chosen| {
                    let (by, has) = (one.is_positional, one.has_default);
                    format!(
                        "{}{}{}",
                        one.name,
                        if has { "=" } else { "" },
                        if by { "/" } else { "" }
                    )
                };
                chosen.iter().map(text).collect::<Vec<_>>().join(" ")
            }
            Err(refusal) => format!("{refusal:?}"),
        }
    }

    #[test]
    fn one_of_them_alone_says_what_is_taken() {
        assert_eq!(told(&[], &[], &["a b="]), "a b=");
        assert_eq!(told(&[], &["a"], &[]), "a");
        assert_eq!(told(&["a"], &["b"], &["c"]), "a");
        assert_eq!(told(&[], &[], &[]), "");
    }

    #[test]
    fn what_is_passed_on_is_taken_by_the_next_one() {
        assert_eq!(told(&[], &[], &["x * ** >", "a b="]), "x a b=");
        assert_eq!(told(&[], &[], &["* ** >1", "a b"]), "b");
        assert_eq!(told(&[], &[], &["** >a", "a b"]), "b");
        assert_eq!(told(&[], &[], &["x * >", "a"]), "x/ a/");
        assert_eq!(told(&[], &[], &["* **", "a"]), "");
        assert_eq!(told(&[], &[], &["a ** >", "a b"]), "Captured(\"(a ** >)\", \"a\")");
        assert_eq!(told(&[], &[], &["* ** .", "a"]), "Hidden(\"(* ** .)\")");
        assert_eq!(told(&[], &[], &["* ** .", ""]), "");
    }

    #[test]
    fn a_metaclass_stands_before_both() {
        assert_eq!(told(&["* ** >"], &[], &["a"]), "a");
        assert_eq!(told(&["* ** ."], &[], &["a"]), "Hidden(\"(* ** .)\")");
    }

    #[test]
    fn new_and_init_take_the_same_call() {
        assert_eq!(told(&[], &["* **"], &["a b="]), "a b=");
        assert_eq!(told(&[], &["a"], &["a b="]), "a");
        assert_eq!(told(&[], &["a"], &["* **"]), "a");
        assert_eq!(told(&[], &["a"], &["b"]), "Different(\"b\")");
        assert_eq!(told(&[], &["a"], &[""]), "Different(\"a\")");
    }
}
