//! The example Pit library `words`: which words a source's names are made of, and how readable they are.
//!
//! Loaded into Symphony's own process through the C table that `export_pit!` exports; its one operation is `words`.

mod library;
mod names;

pit::export_pit!(
    library::Words,
    name: "words",
    version: env!("CARGO_PKG_VERSION"),
    operations: ["words"],
);
