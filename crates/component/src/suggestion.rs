//! "Did you mean": the nearest of some known words.

/// The known word nearest to `word`, where one is near enough to be what was meant.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // One edit in a word of three letters makes another word; a long one may carry several slips.
    let limit = match word.chars().count() {
        0..=2 => 0,
        3..=4 => 1,
        length => length / 3 + 1,
    };
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits (insert, delete, replace, swap of neighbours) between two words.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
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
    use super::did_you_mean;

    #[test]
    fn the_nearest_word_is_meant_and_a_far_one_is_not() {
        let known = ["extensions", "workspace", "members", "state"];
        assert_eq!(did_you_mean("extension", known), Some("extensions"));
        assert_eq!(did_you_mean("wrokspace", known), Some("workspace"));
        assert_eq!(did_you_mean("colour", known), None);
        assert_eq!(did_you_mean("int", ["Pit"]), None);
        assert_eq!(did_you_mean("Pti", ["Pit"]), Some("Pit"));
    }
}
