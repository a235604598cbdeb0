"""`symphony doctor`: what a machine lacks, found by looking at it and by trying it.

`_command` runs the checks of the other files in order. The invariant kept here: this process never loads the
core, so that one that is missing or damaged is a failed check; what needs it runs in a fresh process (`_process`).
"""
