//! The states of an extension and the moves between them that are lawful.

/// Where an extension stands in its life. Ready is said by the extension, never guessed from a live process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Known to the catalogue; nothing runs.
    Installed,
    /// Its process was asked for; the handshake is not done.
    Loading,
    /// It answers calls.
    Ready,
    /// It was asked to stop.
    Stopping,
    /// It stopped as asked.
    Stopped,
    /// It ended by itself, or could not be started.
    Failed,
    /// It failed and waits for, or is in, its next start.
    Restarting,
    /// It failed too often; nothing starts it any more but a person.
    Quarantined,
}

/// A move between two states that no extension may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an extension cannot go from `{from}` to `{to}`")]
pub struct StateError {
    /// Where it stood.
    pub from: State,
    /// Where it was to go.
    pub to: State,
}

impl State {
    /// The word that people and programs read.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Restarting => "restarting",
            Self::Quarantined => "quarantined",
        }
    }

    /// Goes to the next state.
    ///
    /// # Errors
    /// [`StateError`] when the move is not lawful.
    pub fn go(self, to: Self) -> Result<Self, StateError> {
        use State::{
            Failed, Installed, Loading, Quarantined, Ready, Restarting, Stopped, Stopping,
        };
        let lawful = match self {
            Installed | Stopped => matches!(to, Loading | Stopped),
            Loading => matches!(to, Ready | Failed | Stopping),
            Ready => matches!(to, Stopping | Failed),
            Stopping => matches!(to, Stopped | Failed),
            Failed => matches!(to, Restarting | Quarantined | Loading | Stopped),
            Restarting => matches!(to, Loading | Stopped | Stopping),
            Quarantined => matches!(to, Loading | Stopped),
        };
        if lawful { Ok(to) } else { Err(StateError { from: self, to }) }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn a_life_goes_its_lawful_way_and_no_other() {
        let life = [
            State::Loading,
            State::Ready,
            State::Failed,
            State::Restarting,
            State::Loading,
            State::Ready,
        ];
        let end = life.into_iter().try_fold(State::Installed, State::go);
        assert_eq!(end, Ok(State::Ready));
        assert_eq!(
            State::Installed.go(State::Ready).map_err(|error| error.to_string()),
            Err("an extension cannot go from `installed` to `ready`".to_owned())
        );
        assert!(State::Quarantined.go(State::Ready).is_err());
    }
}
