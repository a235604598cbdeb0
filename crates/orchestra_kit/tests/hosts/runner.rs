//! Runs the tests one after another, each on a thread with a watchdog.

use std::process::ExitCode;
use std::time::Duration;

/// A test and its name.
pub(crate) type Test = (&'static str, fn());

const WATCHDOG: Duration = Duration::from_secs(60);

/// Runs those whose name holds the given word, or is it after `--exact`, and says which failed. `--list` names all of them.
pub(crate) fn run(groups: &[&'static [Test]], words: &[&str]) -> ExitCode {
    let tests = groups.iter().copied().flatten();
    // `cargo nextest` asks for the list, and again for those that are ignored, of which there are none.
    if words.contains(&"--list") {
        if !words.contains(&"--ignored") {
            tests.for_each(|(name, _)| println!("{name}: test"));
        }
        return ExitCode::SUCCESS;
    }
    let exact = words.contains(&"--exact");
    let filter = words.iter().find(|word| !word.starts_with('-'));
    let mut failed = Vec::new();
    for (name, test) in tests {
        if filter.is_some_and(|filter| if exact { name != filter } else { !name.contains(filter) })
        {
            continue;
        }
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name((*name).to_owned()).spawn(move || {
            test();
            tell.send(()).unwrap();
        });
        let thread = thread.unwrap();
        match told.recv_timeout(WATCHDOG) {
            Ok(()) => println!("test {name} ... ok"),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                println!("test {name} ... HANGS");
                return ExitCode::FAILURE;
            }
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => {
                println!("test {name} ... FAILED");
                failed.push(*name);
            }
        }
        // A panic was told by its own hook.
        let _ = thread.join();
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("failed: {}", failed.join(", "));
    ExitCode::FAILURE
}
