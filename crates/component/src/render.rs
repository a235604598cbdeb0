//! The one renderer of errors for people: `error:`, `Caused by:`, a blank line, `hint:`.

use std::fmt::Write as _;

use crate::diagnostic::Related;
use crate::{Code, Diagnostic};

/// Renders a message, its causes (outermost first) and its hints.
pub fn error_text(message: &str, causes: &[String], hints: &[String]) -> String {
    let mut text = format!("error: {message}");
    for cause in causes {
        let _ = write!(text, "\n  Caused by: {}", cause.replace('\n', "\n    "));
    }
    for (index, hint) in hints.iter().enumerate() {
        let _ = write!(text, "{}hint: {hint}", if index == 0 { "\n\n" } else { "\n" });
    }
    text
}

/// The text of one fault without its hint, or of all, each with its own.
pub fn faults_text(faults: &[Diagnostic], directory: Option<&str>) -> String {
    if let [one] = faults {
        return one.body(directory);
    }
    let mut text = format!("{} faults in the plan", faults.len());
    for fault in faults {
        let _ = write!(text, "\n{}", fault.text(directory));
    }
    text
}

/// `` `A` -> `B` -> `A` ``: a ring whose path has each name once.
pub fn ring_text(path: &[String]) -> String {
    let mut text = String::new();
    for name in path.iter().chain(path.first()) {
        if !text.is_empty() {
            text.push_str(" -> ");
        }
        let _ = write!(text, "`{name}`");
    }
    text
}

/// What is said where nobody provides what is needed: of components, extensions and nodes of a Melody alike.
///
/// One text, because whoever reads it in a boot, in `symphony check` or in a swap looks for the same words.
pub fn missing_text(consumer: &str, wanted: &str) -> String {
    format!("`{consumer}` needs `{wanted}`, and nobody provides it")
}

impl Diagnostic {
    /// Some need each other in a ring: of components, extensions or nodes of a Melody alike.
    ///
    /// # Arguments
    /// * `path` - the names on the ring, each once.
    /// * `edges` - for each of them the place of its need, and what stands there.
    pub fn cycle(code: Code, path: Vec<String>, edges: Vec<Related>) -> Self {
        let text = format!("dependency cycle: {}", ring_text(&path));
        let location = edges.iter().find_map(|edge| edge.location.clone());
        Self { path, related: edges, location, ..Self::error(code, text) }
    }

    /// The whole text of the diagnostic, places relative to `directory`.
    pub fn text(&self, directory: Option<&str>) -> String {
        let mut text = format!("{}: {}", self.severity.as_str(), self.body(directory));
        if let Some(hint) = &self.hint {
            let _ = write!(text, "\nhint: {hint}");
        }
        text
    }

    /// The message and its places, without what stands before it and the hint behind.
    pub fn body(&self, directory: Option<&str>) -> String {
        let mut text = self.message.clone();
        let places: Vec<(String, &str)> = if self.related.is_empty() {
            self.location.iter().map(|at| (at.relative_to(directory), "")).collect()
        } else {
            let place =
                |at: &Option<crate::Location>| at.as_ref().map(|at| at.relative_to(directory));
            self.related
                .iter()
                .map(|edge| (place(&edge.location).unwrap_or_default(), edge.text.as_str()))
                .collect()
        };
        let width = places.iter().map(|(place, _)| place.chars().count()).max().unwrap_or(0);
        for (place, note) in &places {
            let _ = write!(text, "\n  {}", format!("{place:width$}  {note}").trim_end());
        }
        text
    }
}

impl std::fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.text(None))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Code, Diagnostic, Location, error_text, ring_text};

    #[test]
    fn an_error_prints_its_causes_then_its_hints() {
        let text = error_text(
            "phase `pit` failed",
            &["`artifact-store` did not open".into(), "disk full".into()],
            &["free some space".into()],
        );
        insta::assert_snapshot!(text, @r"
        error: phase `pit` failed
          Caused by: `artifact-store` did not open
          Caused by: disk full

        hint: free some space
        ");
    }

    #[test]
    fn a_ring_prints_the_place_of_every_edge() {
        let path = vec!["Planner".to_owned(), "Index".to_owned()];
        let fault = Diagnostic::error(
            Code::DEPENDENCY_CYCLE,
            format!("dependency cycle: {}", ring_text(&path)),
        )
        .related(Some(Location::new("/w/app/planner.py", 12, 5)), "`Planner` needs `Index`")
        .related(Some(Location::new("/w/app/index.py", 7, 5)), "`Index` needs `Planner`")
        .hint("declare `planner: Late[Planner]` at app/index.py:7");
        insta::assert_snapshot!(fault.text(Some("/w")), @r"
        error: dependency cycle: `Planner` -> `Index` -> `Planner`
          app/planner.py:12  `Planner` needs `Index`
          app/index.py:7     `Index` needs `Planner`
        hint: declare `planner: Late[Planner]` at app/index.py:7
        ");
    }
}
