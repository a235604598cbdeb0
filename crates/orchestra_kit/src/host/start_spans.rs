//! Where the time of a guest's start went: the host's own stamps around what the guest said in its handshake.
//!
//! Invariant: the spans follow each other and lie between the order and the guest's word that it is ready, whatever a
//! guest says: it is not trusted.

use std::time::Instant;

use super::StartSpan;

/// So many spans of a guest's own are taken, with names of so many characters.
const SPANS: usize = 8;
const NAME: usize = 32;

/// The host's stamps of one start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamps {
    /// Its process was ordered.
    pub(super) ordered: Instant,
    /// It said who it is.
    pub(super) introduced: Option<Instant>,
    /// It said that it is ready.
    pub(super) ready: Option<Instant>,
    /// Its process ended.
    pub(super) ended: Option<Instant>,
}

impl Stamps {
    /// The whole start, with the guest's own account of its part: name, begin and end in seconds of the monotonic clock.
    pub(super) fn spans(&self, told: &[(String, f64, f64)]) -> Vec<StartSpan> {
        let Some(introduced) = self.introduced else {
            // It never said a word: all that is known is how long its process was there.
            let start = |to| StartSpan { name: "start".to_owned(), from: self.ordered, to };
            return self.ended.map(start).into_iter().collect();
        };
        let mut spans = Vec::new();
        let mut cursor = self.ordered;
        for (name, from, to) in told.iter().take(SPANS) {
            let (Some(from), Some(to)) = (ipc::moment(*from), ipc::moment(*to)) else { continue };
            let from = from.max(cursor).min(introduced);
            let to = to.max(from).min(introduced);
            if spans.is_empty() {
                spans.push(StartSpan { name: "fork".to_owned(), from: cursor, to: from });
            }
            let name = name.chars().filter(|letter| !letter.is_control()).take(NAME).collect();
            spans.push(StartSpan { name, from, to });
            cursor = to;
        }
        let until_hello = if spans.is_empty() { "start" } else { "handshake" };
        spans.push(StartSpan { name: until_hello.to_owned(), from: cursor, to: introduced });
        if let Some(ready) = self.ready {
            let to = ready.max(introduced);
            spans.push(StartSpan { name: "ready".to_owned(), from: introduced, to });
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Stamps;

    fn names(spans: &[super::StartSpan]) -> Vec<&str> {
        spans.iter().map(|span| span.name.as_str()).collect()
    }

    #[test]
    fn a_guest_is_heard_between_the_stamps_and_never_believed_beyond_them() {
        let ready = Instant::now();
        let ago = |milliseconds| ready.checked_sub(Duration::from_millis(milliseconds)).unwrap();
        let (introduced, ready_at) = (Some(ago(20)), Some(ready));
        let stamps = Stamps { ordered: ago(100), introduced, ready: ready_at, ended: None };
        let told = |name: &str, from: u64, to: u64| {
            (name.to_owned(), ipc::monotonic_seconds(ago(from)), ipc::monotonic_seconds(ago(to)))
        };
        let spans = stamps.spans(&[told("set-up", 90, 70), told("import", 70, 30)]);
        assert_eq!(names(&spans), ["fork", "set-up", "import", "handshake", "ready"]);
        let lies =
            [told("early", 5000, 1), ("nonsense".to_owned(), f64::NAN, -1.0), told("x\n", 1, 90)];
        for spans in [spans, stamps.spans(&lies), stamps.spans(&[])] {
            assert_eq!(spans.first().unwrap().from, ago(100));
            assert_eq!(spans.last().unwrap().to, ready);
            assert!(spans.iter().all(|span| span.from <= span.to), "{spans:?}");
            assert!(spans.windows(2).all(|pair| pair[0].to <= pair[1].from), "{spans:?}");
        }
        assert_eq!(names(&stamps.spans(&[])), ["start", "ready"]);
    }

    #[test]
    fn of_one_that_never_introduced_itself_its_end_alone_is_known() {
        let ordered = Instant::now();
        let stamps = Stamps { ordered, introduced: None, ready: None, ended: None };
        assert!(stamps.spans(&[]).is_empty());
        let ended = Some(Instant::now());
        assert_eq!(names(&Stamps { ended, ..stamps }.spans(&[])), ["start"]);
    }
}
