//! An extension's life on a host whose word of a death is always the first: the kill has not returned when it comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc::{CallError, CallId, CallOptions, Done, Operation, Payload};

use super::{Ended, Extension, Report, Timer};
use crate::document::Source;
use crate::host::{Guest, Host, Stop, Stream};
use crate::manifest::{ExtensionManifest, Manifest};
use crate::supervisor::Status;

/// Never answers a ping; being killed, it is reported dead before `stop` returns.
struct Mortal {
    report: Report,
    silence: Duration,
}

impl Guest for Mortal {
    fn call(
        &self,
        _: &str,
        _: &Payload,
        _: &CallOptions,
        _: Option<&dyn Fn() -> bool>,
    ) -> Result<Payload, CallError> {
        unreachable!("nothing is called here")
    }

    fn submit(
        self: Arc<Self>,
        _: &str,
        _: &Payload,
        _: &CallOptions,
        _: Done,
    ) -> Result<Option<CallId>, CallError> {
        unreachable!("nothing is called here")
    }

    fn stream(&self, _: &str, _: &Payload, _: &CallOptions) -> Result<Box<dyn Stream>, CallError> {
        unreachable!("nothing is called here")
    }

    fn cancel(&self, _: CallId) {}

    fn stop(&self, how: Stop) {
        if how == Stop::Kill {
            self.report.ended(Ended::Exited(Status::Signal(9)), Vec::new());
        }
    }

    fn silence(&self) -> Duration {
        self.silence
    }

    fn operations(&self) -> Vec<Operation> {
        Vec::new()
    }

    fn pending(&self) -> usize {
        0
    }

    fn lines(&self) -> Vec<String> {
        Vec::new()
    }

    fn pid(&self) -> Option<u32> {
        None
    }
}

struct MortalHost {
    becomes_ready: bool,
    silence: Duration,
}

impl Host for MortalHost {
    fn start(&self, _: &Arc<ExtensionManifest>, report: Report) -> Result<Arc<dyn Guest>, Ended> {
        let guest: Arc<dyn Guest> =
            Arc::new(Mortal { report: report.clone(), silence: self.silence });
        if self.becomes_ready {
            report.ready(Arc::clone(&guest));
        }
        Ok(guest)
    }
}

fn extension(host: MortalHost) -> Arc<Extension> {
    let text = "[extension]\nname = \"mute\"\nversion = \"1\"\ncommand = [\"x\"]\n\
                [extension.limits]\nstart = \"30ms\"\n";
    let source = Source::from_text("/w/Symphony.toml", text);
    let manifest = Manifest::from_source(&source).unwrap().extension.unwrap();
    Extension::new(Arc::new(manifest), Arc::new(host), Timer::start().unwrap())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[test]
fn a_start_that_took_too_long_failed_for_that_and_not_for_the_kill() {
    let mute = extension(MortalHost { becomes_ready: false, silence: Duration::ZERO });
    let error = mute.wait_run(0, Some(soon()), None).unwrap().map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "extension `mute` did not start: it did not say that it is ready within 30 ms"
    );
}

#[test]
fn a_run_that_fell_silent_ended_for_that_and_not_for_the_kill() {
    let mute = extension(MortalHost { becomes_ready: true, silence: Duration::from_secs(11) });
    mute.wait_run(0, Some(soon()), None).unwrap().map(|_| ()).unwrap();
    mute.watch();
    let fault = mute.fault().unwrap().to_string();
    assert!(fault.contains("did not answer for"), "{fault}");
    assert!(!fault.contains("SIGKILL"), "{fault}");
}
