"""Another object takes the place of one that runs."""
