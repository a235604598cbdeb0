//! The stable words by which programs tell one fault from another.

/// What went wrong, as one stable kebab-case word. `docs/errors.md` has a section for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(&'static str);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $word:literal;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($word);)*
            /// Every code, in the order of `docs/errors.md`.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

codes! {
    /// Components need each other in a ring.
    DEPENDENCY_CYCLE = "dependency-cycle";
    /// Nobody provides what a component needs.
    MISSING_DEPENDENCY = "missing-dependency";
    /// One name, or one class, was registered twice.
    DUPLICATE_COMPONENT = "duplicate-component";
    /// Several components provide what exactly one may.
    AMBIGUOUS_DEPENDENCY = "ambiguous-dependency";
    /// A component needs one of a later phase, or may not stand in its phase.
    PHASE_ORDER = "phase-order";
    /// An annotation names something that cannot be found.
    UNRESOLVED_ANNOTATION = "unresolved-annotation";
    /// A class or a factory that injection cannot build.
    NOT_INJECTABLE = "not-injectable";
    /// What is injected does not have the methods that its consumer's contract names.
    CONTRACT_MISMATCH = "contract-mismatch";
    /// A late edge was read before it was bound.
    LATE_BINDING = "late-binding";
    /// A step was asked for on another thread than its own.
    WRONG_THREAD = "wrong-thread";
    /// A component's start raised or returned an error.
    START_FAILED = "start-failed";
    /// A component, a phase or the boot was not done by its deadline.
    START_TIMEOUT = "start-timeout";
    /// A component that started says that it is not well.
    UNHEALTHY = "unhealthy";
    /// A component's stop raised or returned an error.
    STOP_FAILED = "stop-failed";
    /// A component's stop was not done by its deadline.
    STOP_TIMEOUT = "stop-timeout";
    /// The boot was interrupted by a signal or by its caller.
    INTERRUPTED = "interrupted";
    /// A `Symphony.toml` cannot be read or says something that it may not.
    MANIFEST_INVALID = "manifest-invalid";
    /// A Melody cannot be read or its graph is wrong.
    MELODY_INVALID = "melody-invalid";
    /// A Python source cannot be read or parsed.
    SOURCE_INVALID = "source-invalid";
    /// Something could not be verified without running it.
    UNVERIFIED = "unverified";
    /// The state folder belongs to another running system.
    STATE_LOCKED = "state-locked";
    /// The state folder or a file in it cannot be used.
    STATE_INVALID = "state-invalid";
    /// An extension's process ended by itself.
    EXTENSION_CRASHED = "extension-crashed";
    /// An extension raised in an operation.
    REMOTE_ERROR = "remote-error";
    /// A call was not answered by its deadline.
    CALL_TIMEOUT = "call-timeout";
    /// A call was cancelled.
    CANCELLED = "cancelled";
    /// A call that could never be answered, since whoever would answer it waits for its caller.
    CALL_CYCLE = "call-cycle";
    /// An extension's queue is full.
    OVERLOADED = "overloaded";
    /// An extension crashed too often and is not restarted any more.
    QUARANTINED = "quarantined";
    /// An extension or operation of that name does not exist.
    UNKNOWN_OPERATION = "unknown-operation";
    /// An extension that comes with an opened project, and that nobody trusts as it is.
    UNTRUSTED = "untrusted";
    /// A call that the manifest does not grant.
    NOT_GRANTED = "not-granted";
    /// An extension speaks no protocol version that this core speaks.
    PROTOCOL_MISMATCH = "protocol-mismatch";
    /// A peer sent bytes that are not a lawful frame.
    PROTOCOL_VIOLATION = "protocol-violation";
    /// A Pit library was built for another interface.
    ABI_MISMATCH = "abi-mismatch";
    /// A Pit library cannot be loaded or failed.
    PIT_LIBRARY = "pit-library";
    /// A budget was exceeded.
    BUDGET_EXCEEDED = "budget-exceeded";
    /// A component of that type or name is not in the container.
    COMPONENT_NOT_FOUND = "component-not-found";
    /// The system was shut down.
    STOPPED = "stopped";
    /// A handle was used in a forked child of the process that it belongs to.
    FORKED = "forked";
    /// An artifact, run, pool, resource or rule of that id does not exist.
    NOT_FOUND = "not-found";
    /// A value or an argument that is not allowed there.
    INVALID_VALUE = "invalid-value";
    /// Memory of a size that was asked for could not be had.
    OUT_OF_MEMORY = "out-of-memory";
    /// Something inside Symphony broke; a bug.
    INTERNAL = "internal";
}

impl Code {
    /// The word itself.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// The code of that word, where there is one.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.0 == word)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_code_is_kebab_case_and_unique() {
        for (index, code) in Code::ALL.iter().enumerate() {
            assert!(
                code.0.chars().all(|letter| letter.is_ascii_lowercase() || letter == '-'),
                "{code}"
            );
            assert_eq!(Code::parse(code.0), Some(*code));
            assert!(!Code::ALL[..index].contains(code), "{code} stands twice");
        }
    }
}
