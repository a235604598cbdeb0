"""`symphony serve`: an MCP server on stdio, in front of a system that several clients share.

The invariant kept here: stdout is the client's alone; whatever else would be printed there goes to stderr.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from symphony._cli._serve.relay import Relay
from symphony._cli._serve.rendezvous import NotServedError, Rendezvous
from symphony._cli._stdout import KeptStdout

if TYPE_CHECKING:
    import argparse


def serve(options: argparse.Namespace) -> int:
    """Runs the command.

    Returns:
        The exit code.
    """
    stdout = KeptStdout().fileno()
    relay = Relay(Rendezvous(options), read_only=options.read_only, stdin=0, stdout=stdout)
    try:
        return relay.run()
    except NotServedError as error:
        if error.told is None:
            raise
        # In the words of the process in which it happened.
        print(error.told, file=sys.stderr)
        return error.exit_code
