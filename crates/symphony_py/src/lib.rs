//! symphony_py
