"""A boot and the system that it gives, as Python drives it."""
