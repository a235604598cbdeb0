//! What would help about a need that nobody provides: a class that fits, or registering what is needed.
//!
//! Called by the bindings for live classes and for classes in text alike, after a plan was found at fault: a good plan never
//! pays for it. Invariant: nothing is proposed that would not make the plan lawful in this respect.

/// Something that is needed and that nobody provides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// It belongs to the language or to Symphony, or has no name by which a person could register it.
    pub is_ours: bool,
    /// It is a `Protocol`, which a class can fit without naming it.
    pub is_protocol: bool,
    /// What stands in its body.
    pub names: Vec<String>,
}

/// What would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Help {
    /// To say of this candidate that it provides what is needed.
    Mark(usize),
    /// To register what is needed.
    Register,
    /// Nobody knows.
    Unknown,
}

/// What would help about a need, from the candidates in the order of their registration.
///
/// # Errors
/// What a look at a candidate raises.
pub fn remedy<E>(
    wanted: &Wanted,
    candidates: usize,
    inherits: impl Fn(usize) -> Result<bool, E>,
    has: impl Fn(usize, &str) -> Result<bool, E>,
) -> Result<Help, E> {
    let asked: Vec<&String> = wanted.names.iter().filter(|name| !name.starts_with('_')).collect();
    for candidate in 0..candidates {
        if inherits(candidate)? {
            return Ok(Help::Mark(candidate));
        }
        // A Protocol that asks for nothing is fitted by everything, which helps nobody.
        let mut fits = wanted.is_protocol && !asked.is_empty();
        for name in &asked {
            fits = fits && has(candidate, name)?;
        }
        if fits {
            return Ok(Help::Mark(candidate));
        }
    }
    let is_registrable = !wanted.is_ours && !wanted.is_protocol;
    Ok(if is_registrable { Help::Register } else { Help::Unknown })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Candidates by what they inherit from and what they have.
    fn told(wanted: &Wanted, candidates: &[(bool, &[&str])]) -> Help {
        let found: Result<Help, ()> = remedy(
            wanted,
            candidates.len(),
            |at| Ok(candidates[at].0),
            |at, name| Ok(candidates[at].1.contains(&name)),
        );
        found.unwrap()
    }

    fn wanted(is_ours: bool, is_protocol: bool, names: &[&str]) -> Wanted {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Wanted { is_ours, is_protocol, names }
    }

    #[test]
    fn the_first_class_that_fits_is_named() {
        let protocol = wanted(false, true, &["read", "write", "_hidden", "__init__"]);
        let (reads, both): (&[&str], &[&str]) = (&["read"], &["read", "write"]);
        assert_eq!(told(&protocol, &[(false, reads), (false, both), (true, &[])]), Help::Mark(1));
        assert_eq!(told(&protocol, &[(false, reads), (true, &[])]), Help::Mark(1));
        assert_eq!(told(&protocol, &[(false, reads)]), Help::Unknown);
    }

    #[test]
    fn a_class_is_fitted_by_those_that_inherit_and_registered_otherwise() {
        let class = wanted(false, false, &["read"]);
        assert_eq!(told(&class, &[(false, &["read"])]), Help::Register);
        assert_eq!(told(&class, &[(true, &[])]), Help::Mark(0));
        assert_eq!(told(&wanted(true, false, &[]), &[]), Help::Unknown);
        assert_eq!(told(&wanted(false, true, &[]), &[(false, &["read"])]), Help::Unknown);
    }
}
