//! Supervisor, hosts and kit with real processes: this program is the root, its supervisor and its guests, by its first
//! argument. Without one it runs the tests.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test that brings its own runner"
)]

mod life;
mod roles;
mod runner;
mod shortage;
mod stopping;
mod supervision;
mod swapping;
mod system;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["supervisor"] => roles::supervisor(),
        ["hanging-supervisor", sign] => roles::hanging_supervisor(sign),
        ["broken-supervisor"] => roles::broken_supervisor(),
        ["stage", request, supervisor] => roles::stage(request, supervisor),
        ["guest", kind, name] => roles::guest(kind, name),
        ["root", folder] => roles::root(folder),
        _ => runner::run(
            &[supervision::TESTS, shortage::TESTS, life::TESTS, stopping::TESTS, swapping::TESTS],
            &words,
        ),
    }
}
