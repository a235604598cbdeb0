//! JSON-RPC with one server: requests and their answers, notifications, what the server asks.
//!
//! Whoever sends is any thread; everything that comes is taken by the one thread that runs [`Connection::read`]. Invariants:
//! each request has one end, an answer or [`NoAnswer`]; an answer that nobody waits for changes nothing; no handler runs under
//! a lock.

use std::collections::HashMap;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use ipc::Value;
use parking_lot::Mutex;
use rustix::io::Errno;

use super::framing::{Framing, HEAD, LONGEST, Piece, Shape};
use super::json;
use super::output::{Output, Unsent};

/// So much of a line of junk comes into the log.
const LOGGED: usize = 2000;
/// What JSON-RPC says of a method that is not known.
pub(crate) const UNKNOWN_METHOD: i64 = -32601;

/// The server's own word that a request failed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ServerFailure {
    pub(crate) code: i64,
    pub(crate) message: String,
    pub(crate) data: Option<Value>,
}

impl ServerFailure {
    pub(crate) fn unknown_method(method: &str) -> Self {
        let message = format!("there is no method `{method}`");
        Self { code: UNKNOWN_METHOD, message, data: None }
    }
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum NoAnswer {
    /// The server says so.
    #[error("{} (code {})", .0.message, .0.code)]
    Failed(ServerFailure),
    /// Its answer cannot be read.
    #[error("the server's answer cannot be read: {reason}")]
    Unreadable { reason: String },
    /// What was asked cannot be said in JSON.
    #[error("the inputs cannot be said to the server: {reason}")]
    Unsayable { reason: String },
    /// The server is gone.
    #[error("the server ended")]
    Ended,
    /// It does not read.
    #[error(transparent)]
    Unsent(#[from] Unsent),
    /// It did not answer in time.
    #[error("the server did not answer `{method}` within {} ms", .after.as_millis())]
    Late { method: String, after: Duration },
}

/// What gets the end of a request, once.
pub(crate) type Done = Box<dyn FnOnce(Result<Value, NoAnswer>) + Send>;

/// Who hears what the server says by itself. Called on the reading thread, and must not wait for the server.
pub(crate) trait Peer {
    /// It tells something.
    fn told(&self, connection: &Connection, method: &str, params: Value);

    /// It asks something.
    ///
    /// # Errors
    /// What it gets for an error.
    fn asked(
        &self,
        connection: &Connection,
        method: &str,
        params: Value,
    ) -> Result<Value, ServerFailure>;
}

/// The side of the bridge.
pub(crate) struct Connection {
    shape: Shape,
    output: Output,
    pending: Mutex<Pending>,
    next: AtomicI64,
}

#[derive(Default)]
struct Pending {
    waiting: HashMap<i64, Done>,
    ended: bool,
}

impl Connection {
    pub(crate) fn new(shape: Shape, stdin: OwnedFd) -> std::io::Result<Self> {
        let output = Output::new(stdin)?;
        Ok(Self { shape, output, pending: Mutex::default(), next: AtomicI64::new(1) })
    }

    /// A number for a request.
    pub(crate) fn number(&self) -> i64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Asks under a number of [`Connection::number`]; the end comes to `done`, also where nothing could be sent.
    pub(crate) fn ask(&self, number: i64, method: &str, params: Value, done: Done) {
        {
            let mut pending = self.pending.lock();
            if pending.ended {
                drop(pending);
                return done(Err(NoAnswer::Ended));
            }
            pending.waiting.insert(number, done);
        }
        let message = json::map([
            ("jsonrpc", "2.0".into()),
            ("id", number.into()),
            ("method", method.into()),
            ("params", params),
        ]);
        if let Err(error) = self.send(&message) {
            self.end_of(number, Err(error));
        }
    }

    /// Asks and waits, before anybody else is served.
    ///
    /// # Errors
    /// [`NoAnswer`].
    pub(crate) fn ask_now(
        &self,
        method: &str,
        params: Value,
        limit: Duration,
    ) -> Result<Value, NoAnswer> {
        let number = self.number();
        let (sender, receiver) = mpsc::channel();
        // Who stopped waiting needs no answer.
        let done = Box::new(move |end| drop(sender.send(end)));
        self.ask(number, method, params, done);
        receiver.recv_timeout(limit).unwrap_or_else(|_| {
            self.forget(number);
            Err(NoAnswer::Late { method: method.to_owned(), after: limit })
        })
    }

    /// Nobody waits for that answer any more. False: it was there already.
    pub(crate) fn forget(&self, number: i64) -> bool {
        self.pending.lock().waiting.remove(&number).is_some()
    }

    /// Tells something.
    ///
    /// # Errors
    /// [`NoAnswer`] when it cannot be sent.
    pub(crate) fn tell(&self, method: &str, params: Value) -> Result<(), NoAnswer> {
        let entries = [("jsonrpc", "2.0".into()), ("method", method.into()), ("params", params)];
        self.send(&json::map(entries))
    }

    /// Says that nothing more comes.
    pub(crate) fn close(&self) {
        self.output.close();
    }

    fn send(&self, message: &Value) -> Result<(), NoAnswer> {
        let body = json::write(message)
            .map_err(|error| NoAnswer::Unsayable { reason: error.to_string() })?;
        let bytes = match self.shape {
            Shape::Lines => [&body[..], b"\n"].concat(),
            Shape::Headers => {
                [format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes(), &body].concat()
            }
        };
        Ok(self.output.send(&bytes)?)
    }

    fn end_of(&self, number: i64, end: Result<Value, NoAnswer>) {
        let done = self.pending.lock().waiting.remove(&number);
        if let Some(done) = done {
            done(end);
        }
    }

    /// Takes what the server writes, until it closes its end; then no request is left.
    pub(crate) fn read(&self, stdout: &OwnedFd, peer: &dyn Peer) {
        let mut framing = Framing::new(self.shape);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match rustix::io::read(stdout, &mut buffer[..]) {
                Ok(0) => break,
                Ok(count) => {
                    framing.feed(&buffer[..count], &mut |piece| self.take(&piece, peer));
                }
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        self.end();
    }

    /// Whether the server is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.pending.lock().ended
    }

    /// The server is gone.
    pub(crate) fn end(&self) {
        let waiting = {
            let mut pending = self.pending.lock();
            pending.ended = true;
            std::mem::take(&mut pending.waiting)
        };
        for (_, done) in waiting {
            done(Err(NoAnswer::Ended));
        }
    }

    /// Whether it was a message.
    fn take(&self, piece: &Piece<'_>, peer: &dyn Peer) -> bool {
        match piece {
            Piece::Message(bytes) => match json::parse(bytes) {
                Ok(Value::List(messages)) => {
                    for message in messages {
                        self.message(message, peer);
                    }
                    true
                }
                Ok(message) => {
                    self.message(message, peer);
                    true
                }
                Err(error) => {
                    let reason = error.to_string();
                    log(&format!("a message of the server cannot be read: {reason}"));
                    self.unreadable(bytes, &reason);
                    false
                }
            },
            Piece::Junk(bytes) => {
                log(&String::from_utf8_lossy(&bytes[..bytes.len().min(LOGGED)]));
                true
            }
            Piece::TooLong { length, head } => {
                let reason =
                    format!("it has {length} bytes, and at most {LONGEST} are taken of one");
                log(&format!("a message of the server was left out: {reason}"));
                self.unreadable(head, &reason);
                true
            }
        }
    }

    /// Ends the request whose answer this would have been: the one that it names, or the only one.
    fn unreadable(&self, head: &[u8], reason: &str) {
        if !may_be_answer(&head[..head.len().min(HEAD)]) {
            return;
        }
        let number = {
            let pending = self.pending.lock();
            let only = pending.waiting.keys().next().copied();
            let only = only.filter(|_| pending.waiting.len() == 1);
            number_in(head).filter(|number| pending.waiting.contains_key(number)).or(only)
        };
        if let Some(number) = number {
            self.end_of(number, Err(NoAnswer::Unreadable { reason: reason.to_owned() }));
        }
    }

    fn message(&self, mut message: Value, peer: &dyn Peer) {
        let id = json::take(&mut message, "id").filter(|id| *id != Value::None);
        let method = match json::take(&mut message, "method") {
            Some(Value::Text(method)) => Some(method),
            _ => None,
        };
        match (method, id) {
            (Some(method), Some(id)) => {
                let params = json::take(&mut message, "params").unwrap_or_default();
                let answer = match peer.asked(self, &method, params) {
                    Ok(result) => {
                        json::map([("jsonrpc", "2.0".into()), ("id", id), ("result", result)])
                    }
                    Err(failure) => json::map([
                        ("jsonrpc", "2.0".into()),
                        ("id", id),
                        (
                            "error",
                            json::map([
                                ("code", failure.code.into()),
                                ("message", failure.message.into()),
                            ]),
                        ),
                    ]),
                };
                // A server that is gone needs no answer.
                let _ = self.send(&answer);
            }
            (Some(method), None) => {
                let params = json::take(&mut message, "params").unwrap_or_default();
                peer.told(self, &method, params);
            }
            (None, Some(id)) => {
                let number = match &id {
                    Value::Int(number) => Some(*number),
                    Value::Text(text) => text.parse().ok(),
                    _ => None,
                };
                if let Some(number) = number {
                    self.end_of(number, outcome(message));
                }
            }
            // An error that belongs to no request.
            (None, None) => log(&format!("the server says: {}", json::text(&message))),
        }
    }
}

fn outcome(mut message: Value) -> Result<Value, NoAnswer> {
    if let Some(error) = json::take(&mut message, "error").filter(|error| *error != Value::None) {
        return Err(NoAnswer::Failed(ServerFailure {
            code: error.get("code").and_then(Value::as_int).unwrap_or_default(),
            message: match error.get("message") {
                Some(Value::Text(text)) if !text.is_empty() => text.clone(),
                _ => json::text(&error),
            },
            data: error.get("data").filter(|data| **data != Value::None).cloned(),
        }));
    }
    match json::take(&mut message, "result") {
        Some(result) => Ok(result),
        None => Err(NoAnswer::Unreadable { reason: "it has neither result nor error".to_owned() }),
    }
}

/// Whether what begins so may be an answer: a line of a log names neither protocol nor request, and what the server asks or
/// tells by itself names a method.
fn may_be_answer(head: &[u8]) -> bool {
    let at = |word: &[u8]| head.windows(word.len()).position(|part| part == word);
    let outcome = at(b"\"result\"").or_else(|| at(b"\"error\"")).unwrap_or(head.len());
    let asks = at(b"\"method\"").is_some_and(|method| method < outcome);
    !asks && (at(b"\"jsonrpc\"").is_some() || at(b"\"id\"").is_some())
}

/// The number of an answer by its first bytes, as nearly every server writes them.
fn number_in(head: &[u8]) -> Option<i64> {
    let head = String::from_utf8_lossy(&head[..head.len().min(256)]).into_owned();
    let rest = head.split("\"id\"").nth(1)?.trim_start().strip_prefix(':')?.trim_start();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Says something in the extension's log: this process's own output is read, line by line, into it.
pub(crate) fn log(line: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody reads it: then nobody misses it.
    let _ = writeln!(out, "{}", line.trim_end());
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::{may_be_answer, number_in};

    #[test]
    fn a_line_of_a_log_and_what_the_server_asks_end_no_request() {
        for answer in [
            "{\"jsonrpc\":\"2.0\",\"id\":17,\"result\":{\"method\":1",
            "{\"id\":3,\"error\":{\"code\":1",
            "{\"jsonrpc\":\"2.0\",\"id\"",
        ] {
            assert!(may_be_answer(answer.as_bytes()), "{answer}");
        }
        for other in [
            "[INFO] starting",
            "{'a': 1}",
            "{\"jsonrpc\":\"2.0\",\"method\":\"telemetry/event\",\"params\":{\"id\":3,\"result\":1",
            "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"",
        ] {
            assert!(!may_be_answer(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn whose_answer_it_is_is_told_by_its_beginning() {
        assert_eq!(number_in(b"{\"jsonrpc\":\"2.0\",\"id\":17,\"result\":\"xxx"), Some(17));
        assert_eq!(number_in(b"{\"id\" : 3 }"), Some(3));
        assert_eq!(number_in(b"{\"result\":1"), None);
    }
}
