"""A system whose extensions list hosts, and servers of this machine that they list or do not."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import textwrap
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kit_processes import running
from symphony.exceptions import ExtensionCrashedError
from test_sandbox import RUNS
from workshop import Workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from symphony import System

HAS_6 = socket.has_ipv6 and Path("/proc/net/if_inet6").exists()

# Of `localhost`, its own authority, good for a hundred years, with the key: nobody trusts it but the tests.
CERTIFICATE = Path(__file__).with_name("localhost.pem")

# An operation's code that says whether it was let to the listed server.
CONNECT = """
    with socket.create_connection(("127.0.0.1", listed)) as peer:
        result = peer.recv(4) == b"HTTP" and peer.getpeername()[1] == listed
    """


class Echo:
    """A server at loopback that says once what it is called and counts who came."""

    def __init__(self, host: str = "127.0.0.1", context: ssl.SSLContext | None = None) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.create_server((host, 0), family=family, backlog=512)
        self.port = self.socket.getsockname()[1]
        self.came = 0
        self._context = context
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self.socket.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            self.came += 1
            with contextlib.suppress(OSError), peer:
                if self._context is None:
                    self._answer(peer)
                    continue
                with self._context.wrap_socket(peer, server_side=True) as safe:
                    self._answer(safe)

    def _answer(self, peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        peer.shutdown(socket.SHUT_WR)
        peer.settimeout(5)
        while peer.recv(4096):
            pass


class Stuck:
    """A listener that takes nobody, whose queue is full: a connect to it hangs."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.port = self.socket.getsockname()[1]
        self._waiting = []
        for _ in range(4):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", self.port))
            self._waiting.append(waiting)

    def close(self) -> None:
        for waiting in (self.socket, *self._waiting):
            waiting.close()


class Hosts:
    """The system, its servers by name, and a way to have an extension run code that knows their ports."""

    def __init__(
        self, system: System[Any], servers: dict[str, Echo | Stuck], authority: str
    ) -> None:
        self.system = system
        self.servers = servers
        self._known = {name: server.port for name, server in servers.items()}
        self._known["authority"] = authority

    def ask(self, name: str, code: str, **more: object) -> list[Any]:
        """What became of the code in that extension: `["done", result]`, or the error's type and number or text."""
        handle = self.system.kit.extension(name).options(timeout=60)
        code = "import socket, threading, time\n" + textwrap.dedent(code)
        return handle.call("do", code=code, more=self._known | more)

    def connects(self, name: str) -> bool:
        """Whether that extension is let to the listed server; one that was just killed may end in the middle."""
        try:
            return self.ask(name, CONNECT) == ["done", True]
        except ExtensionCrashedError:
            return False


@contextlib.contextmanager
def listed_hosts(folder: Path) -> Iterator[Hosts]:
    """Boots the system.

    `listed`, `own` (another interpreter) and `hostile` list addresses, `named` names; `runs` may start programs too.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    servers: dict[str, Echo | Stuck] = {
        "listed": Echo(),
        "other": Echo(),
        "secure": Echo(context=context),
        "stuck": Stuck(),
        "listed6": Echo("::1") if HAS_6 else Echo(),
    }
    ports = {name: server.port for name, server in servers.items()}
    addresses = (
        '["127.0.0.1:{listed}", "[::1]:{listed6}", "127.0.0.1:{secure}", "127.0.0.1:{stuck}"]'
    )
    listed = f"[extension.permissions]\nnetwork = {addresses.format(**ports)}\n"
    names = '["localhost:{listed}", "localhost:{secure}", "*.internal:{other}"]'
    named = f"[extension.permissions]\nnetwork = {names.format(**ports)}\n"
    workshop = Workshop(folder / "system", signs=False)
    workshop.system("")
    workshop.extension("listed", RUNS, listed)
    workshop.extension("hostile", RUNS, listed)
    workshop.extension("own", RUNS, f'python = "{sys.executable}"\n{listed}')
    workshop.extension("named", RUNS, named)
    workshop.extension("runs", RUNS, f'{listed}run = ["sh", "{sys.executable}"]\n')
    with running(workshop) as system:
        yield Hosts(system, servers, CERTIFICATE.read_text().partition("-----BEGIN PRIVATE")[0])
    for server in servers.values():
        server.close()
