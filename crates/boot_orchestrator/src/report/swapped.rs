//! What a swap did, in words: of components, Pit members and extensions alike.

use std::fmt;

/// What a swap did.
#[derive(Debug, Clone, Copy)]
pub struct Swapped<'a> {
    /// The component's, member's or extension's name.
    pub component: &'a str,
    /// What was taken out.
    pub old: &'a str,
    /// What took its place.
    pub new: &'a str,
    /// Consumer and attribute of each injection site that was rewritten.
    pub rewritten: &'a [(String, String)],
    /// How many handles were.
    pub handles: usize,
    /// Whether nobody holds the old one any more.
    pub is_drained: bool,
    /// What its stop raised.
    pub stop_error: Option<&'a str>,
    /// What else there is to know.
    pub notes: &'a [String],
    /// Who still holds it.
    pub holders: &'a [String],
    /// How long all of it took.
    pub seconds: f64,
}

impl fmt::Display for Swapped<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (component, old, new) = (self.component, self.old, self.new);
        write!(out, "swapped `{component}`: `{old}` -> `{new}` in {:.1} ms", self.seconds * 1e3)?;
        let sites: Vec<String> =
            self.rewritten.iter().map(|(consumer, name)| format!("`{consumer}.{name}`")).collect();
        let sites = if sites.is_empty() { "no attribute".to_owned() } else { sites.join(", ") };
        write!(out, "\n  rewritten: {sites}")?;
        match self.handles {
            0 => {}
            1 => out.write_str(" and 1 handle")?,
            many => write!(out, " and {many} handles")?,
        }
        match self.stop_error {
            _ if !self.is_drained => out.write_str(
                "\n  the old one is not drained: it is left running until the system is shut down",
            )?,
            Some(error) => write!(out, "\n  the old one is drained; its stop failed: {error}")?,
            None => out.write_str("\n  the old one is drained and stopped")?,
        }
        for note in self.notes {
            write!(out, "\n  {note}")?;
        }
        if !self.holders.is_empty() {
            out.write_str("\n  still held by:")?;
        }
        for holder in self.holders {
            write!(out, "\n    {}", holder.replace('\n', "\n    "))?;
        }
        Ok(())
    }
}

/// The first line of a source, from 1, that gives a global its value.
#[must_use]
pub fn assigned_at(source: &str, name: &str) -> Option<usize> {
    let is_assignment = |line: &str| {
        let Some(rest) = line.trim_start().strip_prefix(name) else { return false };
        let is_longer = rest.starts_with(|next: char| next == '_' || next.is_alphanumeric());
        let value = rest.split_once('=').map(|(_, value)| value);
        !is_longer && value.is_some_and(|value| !value.starts_with('='))
    };
    source.lines().position(is_assignment).map(|place| place + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_global_is_found_where_it_is_given_its_value() {
        let source = "store2 = 1\nif store == 2: pass\n  store: Store = make()\nstore = 2\n";
        assert_eq!(assigned_at(source, "store"), Some(3));
        assert_eq!(assigned_at(source, "sto"), None);
    }

    #[test]
    fn the_text_says_what_was_rewritten_and_who_still_holds_it() {
        let rewritten = [("User".to_owned(), "store".to_owned())];
        let holders = ["app.py:3  the function `f`\n  keep a handle there".to_owned()];
        let mut swapped = Swapped {
            component: "Store",
            old: "Store",
            new: "Better",
            rewritten: &rewritten,
            handles: 2,
            is_drained: false,
            stop_error: None,
            notes: &[],
            holders: &holders,
            seconds: 0.0123,
        };
        insta::assert_snapshot!(swapped, @r"
        swapped `Store`: `Store` -> `Better` in 12.3 ms
          rewritten: `User.store` and 2 handles
          the old one is not drained: it is left running until the system is shut down
          still held by:
            app.py:3  the function `f`
              keep a handle there
        ");
        (swapped.is_drained, swapped.holders, swapped.handles) = (true, &[], 0);
        swapped.stop_error = Some("OSError: no");
        assert!(swapped.to_string().ends_with("drained; its stop failed: OSError: no"));
    }
}
