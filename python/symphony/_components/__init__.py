"""A class or a function becomes a spec, read from the live object."""
