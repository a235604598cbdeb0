//! symphony_guest
