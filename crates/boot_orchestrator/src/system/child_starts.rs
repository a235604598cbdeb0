//! What the start of the supervisor and of eager extensions went into, and how these are held, left for the report.

use std::time::Instant;

use component::ComponentName;
use orchestra_kit::ExtensionHandle;
use orchestra_kit::supervisor::Span;

use super::parts::Parts;
use crate::{ChildSpan, GrantReport};

/// The start of the supervisor's process, as the report calls it.
pub(super) const SUPERVISOR: &str = "supervisor process";

/// The supervisor is up. What it says of its own start comes after the exec, of which only the root knows.
///
/// Returns when it was up: where it `was_up` before anybody waited for it, when it had done its part itself, for nothing of
/// what the root did until then is its own.
pub(super) fn of_supervisor(
    parts: &Parts,
    pid: Option<u32>,
    spans: &[Span],
    was_up: bool,
) -> Instant {
    let one = |name: &str, from, to| ChildSpan {
        component: SUPERVISOR.into(),
        name: name.to_owned(),
        pid,
        from,
        to,
    };
    let now = Instant::now();
    let (mut found, mut cursor) = (Vec::new(), parts.launched);
    for span in spans {
        let (Some(from), Some(to)) = (ipc::moment(span.start), ipc::moment(span.end)) else {
            continue;
        };
        let from = from.clamp(cursor, now);
        let to = to.clamp(from, now);
        if found.is_empty() {
            found.push(one("exec", cursor, from));
        }
        found.push(one(&span.name, from, to));
        cursor = to;
    }
    let up = if was_up && !found.is_empty() { cursor } else { now };
    found.push(one("ready", cursor, up));
    parts.children.add(move || found);
    up
}

/// An eager extension is ready, or has failed.
pub(super) fn of_extension(parts: &Parts, handle: &ExtensionHandle) {
    let account = handle.start_account();
    let component = ComponentName::from(handle.name());
    let granted = handle.clone();
    parts.grants.add(component.clone(), move || {
        let told = granted.enforcement().into_iter();
        told.map(|held| GrantReport {
            name: held.permission.to_owned(),
            status: held.level.as_str().to_owned(),
            detail: held.reason,
        })
        .collect()
    });
    parts.children.add(move || {
        let (pid, spans) = account();
        let child = |span: orchestra_kit::host::StartSpan| ChildSpan {
            component: component.clone(),
            name: span.name,
            pid,
            from: span.from,
            to: span.to,
        };
        spans.into_iter().map(child).collect()
    });
}
