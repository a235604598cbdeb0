//! One append-only file of records, the truth of every member that keeps state.
