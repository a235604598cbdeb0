//! A guest: its operations, and the loop that serves them until the host stops it or goes away.

use std::any::Any;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::Scope;
use std::time::{Duration, Instant};

use component::Code;
use ipc::{
    Blocks, CallError, Closed, Hello, Inbound, InboundRequest, LANE_VARIABLE, Lane, LaneOptions,
    Operation, Payload, Reader, RemoteFailure, Value,
};

use crate::context::{Context, StandIn};
use crate::error::GuestError;
use crate::turns::Turns;

/// How long the host may take for its welcome.
const WELCOME: Duration = Duration::from_secs(30);

/// An operation's code; `None` is the result of one that gives items.
type Run = Box<dyn Fn(Value, &Context<'_>) -> Result<Option<Value>, GuestError> + Send + Sync>;
type Listen = Box<dyn Fn(&str, Value) + Send + Sync>;

struct Offered {
    operation: Operation,
    run: Run,
}

/// An extension in the making: what it offers, then [`Guest::run`].
pub struct Guest {
    hello: Hello,
    begun: Instant,
    offered: Vec<Offered>,
    topics: Vec<String>,
    listen: Option<Listen>,
    threads: usize,
}

impl Guest {
    /// A guest of that name, which its manifest gives too.
    pub fn new(name: impl Into<String>) -> Self {
        let hello = Hello { language: "rust".to_owned(), ..Hello::new(name) };
        let (begun, offered, topics) = (Instant::now(), Vec::new(), Vec::new());
        Self { hello, begun, offered, topics, listen: None, threads: 1 }
    }

    /// Says its version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.hello.version = version.into();
        self
    }

    /// Offers an operation.
    #[must_use]
    pub fn operation<F>(self, name: impl Into<String>, run: F) -> Self
    where
        F: Fn(Value, &Context<'_>) -> Result<Value, GuestError> + Send + Sync + 'static,
    {
        self.describe(Operation { name: name.into(), ..Operation::default() }, run)
    }

    /// Offers an operation whose result is what it gives to [`Context::item`].
    #[must_use]
    pub fn stream<F>(self, name: impl Into<String>, run: F) -> Self
    where
        F: Fn(Value, &Context<'_>) -> Result<(), GuestError> + Send + Sync + 'static,
    {
        let operation = Operation { name: name.into(), stream: true, ..Operation::default() };
        self.offer(operation, Box::new(move |inputs, context| run(inputs, context).map(|()| None)))
    }

    /// Offers an operation with its whole description.
    #[must_use]
    pub fn describe<F>(self, operation: Operation, run: F) -> Self
    where
        F: Fn(Value, &Context<'_>) -> Result<Value, GuestError> + Send + Sync + 'static,
    {
        self.offer(operation, Box::new(move |inputs, context| run(inputs, context).map(Some)))
    }

    fn offer(mut self, operation: Operation, run: Run) -> Self {
        self.offered.push(Offered { operation, run });
        self
    }

    /// Subscribes to topics; `listen` gets what is published there, on a background thread, and must not block.
    #[must_use]
    pub fn listen<F>(mut self, topics: &[&str], listen: F) -> Self
    where
        F: Fn(&str, Value) + Send + Sync + 'static,
    {
        self.topics = topics.iter().map(|&topic| topic.to_owned()).collect();
        self.listen = Some(Box::new(listen));
        self
    }

    /// Serves with that many threads, so that as many operations run at once. Default: one.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Serves over the lane that Symphony handed to this process, until it is told to stop or the host is gone.
    ///
    /// # Errors
    /// [`GuestError::NotStarted`] when nobody handed a lane over; else as [`Guest::serve`].
    #[expect(
        clippy::disallowed_methods,
        reason = "it is read once, where the program begins to be a guest"
    )]
    pub fn run(self) -> Result<(), GuestError> {
        let value = std::env::var(LANE_VARIABLE).map_err(|_| GuestError::NotStarted)?;
        let number = value.parse().map_err(|_| GuestError::Variable { value })?;
        self.serve(ipc::inherited(number)?)
    }

    /// Serves over that socket, until it is told to stop or the host is gone; both are a good end.
    ///
    /// # Errors
    /// [`GuestError`] when an operation is defined twice, the host refuses this guest, or the host breaks the protocol.
    pub fn serve(mut self, socket: OwnedFd) -> Result<(), GuestError> {
        let mut table: BTreeMap<String, Run> = BTreeMap::new();
        for Offered { operation, run } in self.offered {
            let name = operation.name.clone();
            let beside = operation.beside || self.threads > 1;
            self.hello.operations.push(Operation { beside, ..operation });
            if table.insert(name.clone(), run).is_some() {
                return Err(GuestError::Duplicate { name });
            }
        }
        let reader = Reader::new()?;
        let listener = Arc::new(Listener(self.listen));
        let lane = Lane::open(socket, LaneOptions::guest(&reader), listener)?;
        let (begun, now) = (self.begun, Instant::now());
        let set_up = (ipc::monotonic_seconds(begun), ipc::monotonic_seconds(now));
        self.hello.spans.push(("set-up".to_owned(), set_up.0, set_up.1));
        lane.hello(&self.hello, WELCOME)?;
        lane.ready()?;
        for topic in &self.topics {
            lane.subscribe(topic)?;
        }
        // Where several serve, one that waits leaves the others.
        let blocks = (self.threads == 1).then_some(Blocks::Serving);
        let turns = Turns::new(self.threads);
        let served = std::thread::scope(|scope| {
            let (lane, table, turns) = (&lane, &table, &turns);
            let server = Server { scope, lane, table, turns, blocks };
            for _ in 1..self.threads {
                scope.spawn(move || server.serve());
            }
            server.serve_to_the_end()
        });
        match served {
            Err(CallError::Closed { reason: Closed::Eof | Closed::Local, .. }) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => match lane.stopped() {
                Ok(()) | Err(CallError::Closed { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            },
        }
    }
}

/// Hears what is published.
struct Listener(Option<Listen>);

impl Inbound for Listener {
    fn publish(&self, topic: &str, value: Payload) {
        if let Some(listen) = &self.0
            && let Ok(value) = value.value()
        {
            listen(topic, value);
        }
    }
}

/// What a serving thread knows.
#[derive(Clone, Copy)]
struct Server<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    lane: &'scope Lane,
    table: &'scope BTreeMap<String, Run>,
    turns: &'scope Turns,
    blocks: Option<Blocks>,
}

impl Server<'_, '_> {
    /// The first thread stays, however many others there are.
    fn serve_to_the_end(self) -> Result<(), CallError> {
        while let Some(request) = self.lane.next_request(None, None)? {
            self.answer(&request)?;
        }
        Ok(())
    }

    fn serve(self) -> Result<(), CallError> {
        while !self.turns.is_one_too_many() {
            let Some(request) = self.lane.next_request(None, None)? else { break };
            self.answer(&request)?;
        }
        Ok(())
    }

    fn answer(&self, request: &InboundRequest) -> Result<(), CallError> {
        let (lane, correlation) = (self.lane, request.correlation);
        let _turn = self.turns.take();
        match perform(self, request) {
            Ok(Some(result)) => reply(lane, correlation, Ok(result)),
            Ok(None) => lane.end(correlation),
            Err(failure) => reply(lane, correlation, Err(failure)),
        }
    }
}

impl<'scope> StandIn for Server<'scope, '_> {
    fn leave(&self) {
        if !self.turns.leave() {
            return;
        }
        let server: Server<'scope, '_> = *self;
        let begun = std::thread::Builder::new().spawn_scoped(self.scope, move || server.serve());
        if begun.is_err() {
            // Nothing is lost but that the others wait for this stream's reader.
            self.turns.has_no_thread();
        }
    }

    fn come_back(&self) {
        self.turns.come_back();
    }
}

/// A result that is too large for a frame is the caller's failure, not the end of this guest.
fn reply(
    lane: &Lane,
    correlation: u64,
    result: Result<Payload, RemoteFailure>,
) -> Result<(), CallError> {
    match lane.reply(correlation, result) {
        Err(CallError::TooLarge { .. }) => Ok(()),
        sent => sent,
    }
}

/// Runs an operation. `None`: its result was streamed.
fn perform(
    server: &Server<'_, '_>,
    request: &InboundRequest,
) -> Result<Option<Payload>, RemoteFailure> {
    let Server { lane, table, .. } = server;
    let failure = |error: &GuestError| error.to_failure();
    let Some(run) = table.get(&request.operation) else {
        let message = format!("there is no operation `{}`", request.operation);
        return Err(RemoteFailure::new(Code::UNKNOWN_OPERATION, message));
    };
    if lane.is_cancelled(request.correlation) {
        return Err(RemoteFailure::new(Code::CANCELLED, "the call was cancelled"));
    }
    let context = Context::new(lane, request, server.blocks, server);
    let inputs = request.inputs.value().map_err(|error| failure(&error.into()))?;
    let value = catch_unwind(AssertUnwindSafe(|| run(inputs, &context)))
        .map_err(|panic| panicked(panic.as_ref()))?
        .map_err(|error| failure(&error))?;
    match value {
        None => context.into_list().map_err(|error| failure(&error)),
        Some(value) => {
            Payload::from_value(&value).map(Some).map_err(|error| failure(&error.into()))
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> RemoteFailure {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    let type_name = "panic".to_owned();
    RemoteFailure { type_name, ..RemoteFailure::new(Code::REMOTE_ERROR, text) }
}
