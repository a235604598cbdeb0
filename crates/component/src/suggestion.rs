//! "Did you mean": the nearest of some known words.
//!
//! Called wherever a name is not known, also with names that a guest sent. Invariant: a search takes no longer for a long
//! word, and many searches together no longer than a person would wait.

/// Longer words, in letters, are not looked for: nobody mistypes so long a name, and comparing takes the square of it.
const LONGEST: usize = 64;

/// The known word nearest to `word`, where one is near enough to be what was meant.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Letters of four bytes at most: a longer text is not even read.
    if word.len() > 4 * LONGEST {
        return None;
    }
    let letters = lowered(word);
    // One edit in a word of three letters makes another word; a long one may carry several slips.
    let limit = match letters.len() {
        0..=2 => 0,
        3..=4 => 1,
        length if length > LONGEST => return None,
        length => length / 3 + 1,
    };
    let mut best: Option<(usize, &str)> = None;
    for candidate in known {
        // Each letter that one has more than the other is an edit.
        let fits = |length: usize| letters.len().abs_diff(length) <= limit;
        if candidate.len() > 4 * LONGEST || !fits(candidate.chars().count()) {
            continue;
        }
        let distance = distance(&letters, &lowered(candidate));
        let near = distance <= limit && distance < candidate.chars().count();
        if near && best.is_none_or(|best| (distance, candidate) < best) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How many words may still be compared in search of what a person meant, over all faults of one thing.
///
/// Each search looks at every name. Where thousands of names are missing among thousands there is one cause and not
/// thousands of typing errors; looking for those would take minutes.
#[derive(Debug)]
pub struct Suggestions(usize);

impl Default for Suggestions {
    fn default() -> Self {
        Self(100_000)
    }
}

impl Suggestions {
    /// As [`did_you_mean`], as long as there is something left to be compared.
    pub fn nearest<'a>(
        &mut self,
        word: &str,
        known: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<&'a str> {
        if self.0 == 0 {
            return None;
        }
        self.0 = self.0.saturating_sub(known.clone().count());
        did_you_mean(word, known)
    }
}

fn lowered(word: &str) -> Vec<char> {
    word.chars().flat_map(char::to_lowercase).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut rows = vec![vec![0; right.len() + 1]; left.len() + 1];
    for i in 0..=left.len() {
        for j in 0..=right.len() {
            if i == 0 || j == 0 {
                rows[i][j] = i + j;
                continue;
            }
            let same = usize::from(left[i - 1] != right[j - 1]);
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + same);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::{LONGEST, Suggestions, did_you_mean};

    #[test]
    fn the_nearest_word_is_meant_and_a_far_one_is_not() {
        let known = ["extensions", "workspace", "members", "state"];
        assert_eq!(did_you_mean("extension", known), Some("extensions"));
        assert_eq!(did_you_mean("wrokspace", known), Some("workspace"));
        assert_eq!(did_you_mean("colour", known), None);
        assert_eq!(did_you_mean("int", ["Pit"]), None);
        assert_eq!(did_you_mean("Pti", ["Pit"]), Some("Pit"));
    }

    #[test]
    fn a_word_of_any_length_is_looked_for_in_no_time() {
        let long = "x".repeat(50_000_000);
        let longer = format!("{long}y");
        assert_eq!(did_you_mean(&long, [longer.as_str(), "x"]), None);
        assert_eq!(did_you_mean("x", [longer.as_str()]), None);
        let name = "n".repeat(LONGEST);
        assert_eq!(did_you_mean(&name[1..], [name.as_str()]), Some(name.as_str()));
    }

    #[test]
    fn what_thousands_may_have_meant_is_looked_for_a_while_only() {
        let known: Vec<String> = (0..50_000).map(|number| format!("node{number}")).collect();
        let known = || known.iter().map(String::as_str);
        let mut suggestions = Suggestions::default();
        assert_eq!(suggestions.nearest("nodes1", known()), Some("node1"));
        let found = (0..50_000).filter(|_| suggestions.nearest("nodes2", known()).is_some());
        assert_eq!(found.count(), 1);
    }
}
