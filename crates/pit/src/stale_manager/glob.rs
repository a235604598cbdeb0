//! Patterns over artifact names: `*` for any run of characters, `?` for one.

/// Whether `name` fits `pattern`. Linear in practice, never worse than the product of both lengths.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut place, mut star) = (0, None);
    let mut rest = name.chars();
    loop {
        let before = rest.clone();
        match (pattern.get(place), rest.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                // The star takes nothing at first; `before` is where it may take more.
                rest = before;
                star = Some((place + 1, rest.clone()));
                place += 1;
            }
            (Some('?'), Some(_)) => place += 1,
            (Some(wanted), Some(found)) if *wanted == found => place += 1,
            _ => {
                let Some((after, taken)) = &mut star else { return false };
                if taken.next().is_none() {
                    return false;
                }
                place = *after;
                rest = taken.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn stars_and_question_marks_fit_what_they_should() {
        for (pattern, name) in [
            ("", ""),
            ("*", ""),
            ("*", "a/b"),
            ("a*c", "abcbc"),
            ("?é*", "aéb"),
            ("**x", "x"),
            ("a*b*c", "aXbYbZc"),
        ] {
            assert!(fits(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("", "a"),
            ("?", ""),
            ("a*c", "ab"),
            ("a", "ab"),
            ("*.py", "a.pyc"),
            ("a?", "a"),
            ("*a*b", "ba"),
        ] {
            assert!(!fits(pattern, name), "{pattern} {name}");
        }
    }
}
