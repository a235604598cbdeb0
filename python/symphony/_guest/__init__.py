"""An extension's process, from its start to its operations."""
