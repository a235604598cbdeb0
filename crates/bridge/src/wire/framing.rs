//! Messages out of a stream of bytes: a line each (MCP), or with a header that says their length (LSP).
//!
//! Fed by [`super::connection`]. Invariants: at most [`LONGEST`] bytes are held; bytes that are no message are given back as
//! junk, a piece at a time, and what follows them is found again.

/// The longest message that is taken.
pub(super) const LONGEST: usize = 32 * 1024 * 1024;
/// So much of a message that is too long is kept, to tell whose answer it is.
pub(super) const HEAD: usize = 1024;
/// A line of a header, or of junk before one, is given back when it is longer.
const LINE: usize = 8 * 1024;
const LENGTH: &[u8] = b"content-length:";

/// How messages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A line each.
    Lines,
    /// A header with `Content-Length`.
    Headers,
}

/// What was cut out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// What should be a message.
    Message(&'a [u8]),
    /// What cannot be one.
    Junk(&'a [u8]),
    /// A message that was left out, with its first bytes.
    TooLong { length: u64, head: &'a [u8] },
}

enum State {
    /// A line is awaited, so many bytes of which were looked at.
    Line { looked: usize },
    /// A body of so many bytes is awaited.
    Body { length: usize },
    /// So many bytes of a body are left out.
    SkipBody { left: u64, length: u64, head: Vec<u8> },
    /// The rest of a line is left out.
    SkipLine { length: u64, head: Vec<u8> },
}

/// Cuts one stream.
pub(super) struct Framing {
    shape: Shape,
    buffer: Vec<u8>,
    state: State,
    announced: Option<u64>,
}

impl Framing {
    pub(super) const fn new(shape: Shape) -> Self {
        Self { shape, buffer: Vec::new(), state: State::Line { looked: 0 }, announced: None }
    }

    /// Takes bytes and gives every piece that they complete to `take`, which says whether a message is one.
    pub(super) fn feed(&mut self, bytes: &[u8], take: &mut dyn FnMut(Piece<'_>) -> bool) {
        self.buffer.extend_from_slice(bytes);
        let mut from = 0;
        while self.step(&mut from, take) {}
        self.buffer.drain(..from);
        if self.buffer.capacity() > 1024 * 1024 && self.buffer.len() < 64 * 1024 {
            self.buffer.shrink_to(64 * 1024);
        }
    }

    /// Whether there is more to cut.
    fn step(&mut self, from: &mut usize, take: &mut dyn FnMut(Piece<'_>) -> bool) -> bool {
        let rest = &self.buffer[*from..];
        match &mut self.state {
            State::Line { looked } => {
                if let Some(end) = rest[*looked..].iter().position(|byte| *byte == b'\n') {
                    let end = *looked + end;
                    let line = *from..*from + end;
                    *from += end + 1;
                    self.state = State::Line { looked: 0 };
                    self.line(line, take);
                    return true;
                }
                *looked = rest.len();
                match self.shape {
                    Shape::Lines if rest.len() > LONGEST => {
                        let head = rest[..HEAD].to_vec();
                        let length = rest.len() as u64;
                        *from += rest.len();
                        self.state = State::SkipLine { length, head };
                    }
                    Shape::Headers if rest.len() > LINE => {
                        // The end may be the beginning of a header.
                        let junk = rest.len() - LENGTH.len();
                        take(Piece::Junk(&rest[..junk]));
                        *from += junk;
                        self.state = State::Line { looked: 0 };
                    }
                    _ => {}
                }
                false
            }
            State::Body { length } => {
                let length = *length;
                if rest.len() < length {
                    return false;
                }
                self.state = State::Line { looked: 0 };
                let body = &self.buffer[*from..*from + length];
                if take(Piece::Message(body)) {
                    *from += length;
                    return true;
                }
                // The length was wrong: what is behind may begin inside.
                *from += find(body, LENGTH).filter(|at| *at > 0).unwrap_or(length);
                true
            }
            State::SkipBody { left, length, head } => {
                let skipped =
                    usize::try_from(*left).map_or(rest.len(), |left| left.min(rest.len()));
                // Its beginning says whose answer this would have been.
                let room = HEAD.saturating_sub(head.len());
                head.extend_from_slice(&rest[..skipped.min(room)]);
                *from += skipped;
                *left -= skipped as u64;
                if *left > 0 {
                    return false;
                }
                take(Piece::TooLong { length: *length, head });
                self.state = State::Line { looked: 0 };
                true
            }
            State::SkipLine { length, head } => {
                let end = rest.iter().position(|byte| *byte == b'\n');
                let skipped = end.map_or(rest.len(), |end| end + 1);
                *length += skipped as u64;
                *from += skipped;
                if end.is_none() {
                    return false;
                }
                take(Piece::TooLong { length: *length, head });
                self.state = State::Line { looked: 0 };
                true
            }
        }
    }

    fn line(&mut self, place: std::ops::Range<usize>, take: &mut dyn FnMut(Piece<'_>) -> bool) {
        let line = self.buffer[place].trim_ascii();
        if self.shape == Shape::Lines {
            match line.first() {
                None => {}
                Some(b'{' | b'[') if take(Piece::Message(line)) => {}
                Some(_) => {
                    take(Piece::Junk(line));
                }
            }
            return;
        }
        if line.is_empty() {
            if let Some(length) = self.announced.take() {
                self.state = match usize::try_from(length) {
                    Ok(length) if length <= LONGEST => State::Body { length },
                    _ => State::SkipBody { left: length, length, head: Vec::new() },
                };
            }
            return;
        }
        // The last one: what is before it is junk, and may be the first half of a header.
        if let Some(at) = find_last(line, LENGTH) {
            if at > 0 {
                take(Piece::Junk(&line[..at]));
            }
            let number = line[at + LENGTH.len()..].trim_ascii();
            let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
            if number.is_none() {
                take(Piece::Junk(&line[at..]));
            }
            self.announced = number;
            return;
        }
        if !line.to_ascii_lowercase().starts_with(b"content-type:") {
            take(Piece::Junk(line));
        }
    }
}

/// Where `wanted`, in small letters, begins.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part.eq_ignore_ascii_case(wanted))
}

/// Where `wanted`, in small letters, begins for the last time.
fn find_last(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|part| part.eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::{Framing, HEAD, LONGEST, Piece, Shape};

    /// The pieces as texts, with bytes fed in portions.
    fn cut(shape: Shape, bytes: &[u8], portion: usize) -> Vec<String> {
        let mut framing = Framing::new(shape);
        let mut found = Vec::new();
        for part in bytes.chunks(portion) {
            framing.feed(part, &mut |piece| {
                match piece {
                    Piece::Message(body) => {
                        let text = String::from_utf8_lossy(body);
                        let whole = serde_json::from_str::<serde_json::Value>(&text).is_ok();
                        if whole {
                            found.push(format!("message {text}"));
                        }
                        return whole;
                    }
                    Piece::Junk(line) => {
                        found.push(format!("junk {}", String::from_utf8_lossy(line)));
                    }
                    Piece::TooLong { length, .. } => found.push(format!("too long {length}")),
                }
                true
            });
        }
        found
    }

    #[test]
    fn messages_are_found_between_junk_whatever_the_portions() {
        for portion in [1, 2, 7, 1000] {
            let lines = b"banner\n\n{\"a\":1}\r\n{broken\nmore\n[1]\n";
            assert_eq!(
                cut(Shape::Lines, lines, portion),
                ["junk banner", "message {\"a\":1}", "junk {broken", "junk more", "message [1]"]
            );
            let headers = b"banner\nContent-Type: x\r\ncontent-length: 7\r\n\r\n{\"a\":1}tailContent-Length:2\r\n\r\n{}";
            assert_eq!(
                cut(Shape::Headers, headers, portion),
                ["junk banner", "message {\"a\":1}", "junk tail", "message {}"]
            );
        }
    }

    #[test]
    fn half_a_header_costs_no_message() {
        for half in ["Content-Le", "Content-Length: 1", "Content-Length: 1\r\n"] {
            let text = format!("{half}Content-Length: 7\r\n\r\n{{\"a\":1}}");
            let found = cut(Shape::Headers, text.as_bytes(), 5);
            assert_eq!(found.last().map(String::as_str), Some("message {\"a\":1}"), "{half}");
        }
    }

    #[test]
    fn a_wrong_length_costs_its_own_message() {
        for (length, rest) in [(3, true), (40, true), (12, true)] {
            let text = format!(
                "Content-Length: {length}\r\n\r\n{{\"a\":1}}Content-Length: 7\r\n\r\n{{\"b\":2}}Content-Length: 2\r\n\r\n{{}}"
            );
            let found = cut(Shape::Headers, text.as_bytes(), 5);
            assert_eq!(found.contains(&"message {}".to_owned()), rest, "{length}: {found:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_left_out_and_not_held() {
        for shape in [Shape::Lines, Shape::Headers] {
            let mut framing = Framing::new(shape);
            let mut found = Vec::new();
            let length = LONGEST * 2;
            let begin = match shape {
                Shape::Lines => String::new(),
                Shape::Headers => format!("Content-Length: {length}\r\n\r\n"),
            };
            let end = match shape {
                Shape::Lines => "\n{}\n".to_owned(),
                Shape::Headers => "Content-Length: 2\r\n\r\n{}".to_owned(),
            };
            let block = vec![b'x'; 1024 * 1024];
            let mut take = |piece: Piece<'_>| {
                if let Piece::TooLong { head, .. } = &piece {
                    assert_eq!(*head, [b'x'; HEAD], "whose answer it is is told by its beginning");
                }
                found.push(matches!(piece, Piece::Message(_)));
                true
            };
            framing.feed(begin.as_bytes(), &mut take);
            for _ in 0..length / block.len() {
                framing.feed(&block, &mut take);
                assert!(framing.buffer.len() <= LONGEST + block.len());
            }
            framing.feed(end.as_bytes(), &mut take);
            assert_eq!(found, [false, true], "{shape:?}");
        }
    }
}
