//! Which call of the host waits for which request to the server.
//!
//! Used by both protocols. Invariant: a call that is given up is answered at once, whether or not the server ever does; what
//! the server says of it later changes nothing.

use std::collections::HashMap;
use std::sync::Arc;

use component::Code;
use ipc::{Lane, RemoteFailure, Value};
use parking_lot::Mutex;

use crate::call::{Call, Failed, unanswered};
use crate::wire::{Connection, NoAnswer};

#[derive(Default)]
struct Table {
    /// The request of a call, by the call.
    requests: HashMap<u64, (i64, Lane)>,
    /// The call of a request whose caller takes items.
    streams: HashMap<i64, u64>,
}

/// Calls that wait for the server.
#[derive(Default)]
pub(crate) struct UnderWay(Mutex<Table>);

impl UnderWay {
    /// Asks the server for a call's sake; `read` makes the call's result of the answer.
    pub(crate) fn ask(
        self: &Arc<Self>,
        connection: &Connection,
        number: i64,
        call: Call,
        (method, params): (&str, Value),
        read: impl FnOnce(Value) -> Result<Value, Failed> + Send + 'static,
    ) {
        let (lane, correlation) = (call.lane.clone(), call.correlation);
        {
            let mut table = self.0.lock();
            table.requests.insert(correlation, (number, lane.clone()));
            if call.stream {
                table.streams.insert(number, correlation);
            }
        }
        let own = Arc::clone(self);
        let done = Box::new(move |end: Result<Value, NoAnswer>| {
            own.left(correlation, number);
            match end {
                Ok(answer) => call.finish(read(answer)),
                // The end of this process is the answer, and says how.
                Err(NoAnswer::Ended) => {}
                Err(why) => call.fail(unanswered(why)),
            }
        });
        connection.ask(number, method, params, done);
        if lane.is_cancelled(correlation) {
            self.give_up(connection, correlation);
        }
    }

    fn left(&self, correlation: u64, number: i64) {
        let mut table = self.0.lock();
        table.requests.remove(&correlation);
        table.streams.remove(&number);
    }

    /// Ends a call that nobody waits for; the request that the server is to be told of.
    pub(crate) fn give_up(&self, connection: &Connection, correlation: u64) -> Option<i64> {
        let (number, lane) = {
            let mut table = self.0.lock();
            let (number, lane) = table.requests.remove(&correlation)?;
            table.streams.remove(&number);
            (number, lane)
        };
        if !connection.forget(number) {
            return None;
        }
        let failure = RemoteFailure::new(Code::CANCELLED, "the call was cancelled");
        // A lane that closed has nobody to tell.
        let _ = lane.reply(correlation, Err(failure));
        Some(number)
    }

    /// The call of a request, where its caller takes items.
    pub(crate) fn stream(&self, number: i64) -> Option<(Lane, u64)> {
        let table = self.0.lock();
        let correlation = *table.streams.get(&number)?;
        let (_, lane) = table.requests.get(&correlation)?;
        Some((lane.clone(), correlation))
    }
}
