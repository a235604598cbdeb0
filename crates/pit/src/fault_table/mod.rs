//! Tests alone: every fault at every call of the file layer, in a short life of store, tracker and pins.

mod history;
mod table;
