"""`symphony dev`: a system that runs while its extensions are written."""
