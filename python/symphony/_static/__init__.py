"""Specs, contracts and operations read from source, without importing it."""
