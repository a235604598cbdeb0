"""`symphony graph`: the component graph of a system by phase, in the five formats."""
