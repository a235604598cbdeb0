//! The engine against a mocked kit: each test fails when the promise in its name breaks.

mod mock;
mod policy;
mod runs;
