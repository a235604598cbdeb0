"""What a hostile extension does to the connects that are made for it leads nowhere, and holds up nobody."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from kit_processes import alive, kill, supervisor_of
from listed_hosts import CONNECT
from workshop import wait_until, write

pytestmark = pytest.mark.timeout(120)


def connections_of(pid: int) -> set[str]:
    """What of TCP a process holds, by the numbers of the sockets."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    held = set()
    for number in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            held.add(os.readlink(f"/proc/{pid}/fd/{number}").removeprefix("socket:[").rstrip("]"))
    return held & {line.split()[9] for line in lines}


def test_an_address_that_is_changed_after_the_check_leads_nowhere(ask, servers):
    code = """
    import struct
    def address(port):
        return struct.pack("!2s H 4s 8x", struct.pack("=H", 2), port, bytes([127, 0, 0, 1]))
    shared = ctypes.create_string_buffer(address(listed), 16)
    over = False
    def change():
        good, bad = address(listed), address(other)
        while not over:
            ctypes.memmove(shared, bad, 16)
            ctypes.memmove(shared, good, 16)
    changing = [threading.Thread(target=change) for _ in range(2)]
    [thread.start() for thread in changing]
    done = {0: 0, 1: 0}
    for _ in range(400):
        with socket.socket() as peer:
            if libc.connect(peer.fileno(), shared, 16) == 0:
                done[0] += peer.getpeername()[1] == listed
            else:
                done[ctypes.get_errno()] = done.get(ctypes.get_errno(), 0) + 1
    over = True
    [thread.join() for thread in changing]
    result = [done[0], done[1], sum(done.values())]
    """
    before = servers["other"].came
    kind, [made, refused, all_of_them] = ask("listed", code)
    assert (kind, made + refused, all_of_them) == ("done", 400, 400)
    assert made > 0
    assert refused > 0
    assert servers["other"].came == before


def test_a_descriptor_that_is_replaced_during_the_call_leads_nowhere(ask, servers):
    code = """
    over = False
    made = socket.socket()
    number = made.fileno()
    def change():
        while not over:
            left, right = socket.socketpair()
            with left, right, socket.socket() as fresh:
                os.dup2(left.fileno(), number)
                os.dup2(fresh.fileno(), number)
    changing = threading.Thread(target=change)
    changing.start()
    done = set()
    for _ in range(200):
        done.add(made.connect_ex(("127.0.0.1", listed)))
        done.add(made.connect_ex(("127.0.0.1", other)))
    over = True
    changing.join()
    made.close()
    result = sorted(done)
    """
    before = servers["other"].came
    kind, errors = ask("listed", code)
    assert (kind, set(errors) - {0, 1, 4, 9, 88, 106, 114, 115}) == ("done", set())
    assert servers["other"].came == before


def test_a_connect_that_hangs_holds_up_nobody(hosts, ask):
    code = """
    import errno, signal, struct
    hanging = [socket.socket() for _ in range(8)]
    threads = [
        threading.Thread(target=one.connect_ex, args=(("127.0.0.1", stuck),), daemon=True)
        for one in hanging
    ]
    [thread.start() for thread in threads]
    for _ in range(20):
        socket.create_connection(("127.0.0.1", listed)).close()
    # Its own limit counts, as it does without us.
    limited = socket.socket()
    limited.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, 300_000))
    begun = time.monotonic()
    error = limited.connect_ex(("127.0.0.1", stuck))
    took = time.monotonic() - begun
    # A handler's exception ends the call.
    def alarm(*_):
        raise InterruptedError
    signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    try:
        socket.socket().connect(("127.0.0.1", stuck))
    except InterruptedError:
        interrupted = True
    # And a call that begins again after a signal goes on with the connection that is under way.
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.siginterrupt(signal.SIGALRM, False)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    again = socket.socket()
    again.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, 600_000))
    restarted = again.connect_ex(("127.0.0.1", stuck))
    result = [
        sum(thread.is_alive() for thread in threads),
        error == errno.EINPROGRESS and 0.2 < took,
        interrupted,
        restarted in (errno.EINPROGRESS, errno.EALREADY),
    ]
    """
    assert ask("listed", code) == ["done", [8, True, True, True]]
    assert ask("runs", CONNECT) == ["done", True]
    # Its end during all of these is an end.
    [_, pid] = ask("listed", "result = os.getpid()")
    kill(pid)
    assert wait_until(lambda: not alive(pid))
    assert wait_until(lambda: not connections_of(supervisor_of()))
    assert wait_until(lambda: hosts.connects("listed"))


def test_nothing_of_it_is_left_in_an_extension(hosts, ask):
    # The supervisor has a handler for what bounds its waits, and the next guest is a fork of it.
    assert hosts.connects("runs")
    [_, pid] = ask("listed", "result = os.getpid()")
    kill(pid)
    assert wait_until(lambda: hosts.connects("listed"))
    code = """
    import signal
    numbers = os.listdir("/proc/self/fd")
    links = [os.readlink(f"/proc/self/fd/{one}") for one in numbers if os.path.lexists(f"/proc/self/fd/{one}")]
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    caught = int(status["SigCgt"], 16) >> (signal.SIGALRM - 1) & 1
    result = [[link for link in links if "seccomp" in link], caught]
    """
    assert ask("listed", code) == ["done", [[], 0]]


# Whether a connect waits is a flag of the socket, which its guest has too.
CHANGES = """
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static int number;
static atomic_int over;
static pthread_t attacker;
static void interrupt(int unused) {}
static void *change(void *unused) {
    for (int round = 1; !over; round++) {
        fcntl(number, F_SETFL, O_NONBLOCK);
        fcntl(number, F_SETFL, 0);
        /* What became a waiting call is given up. */
        if (round % 1000 == 0) pthread_kill(attacker, SIGUSR1);
    }
    return unused;
}
int attack(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    time_t end = time(NULL) + 20;
    struct sigaction action = {.sa_handler = interrupt};
    pthread_t thread;
    int error = 0;
    sigaction(SIGUSR1, &action, NULL);
    attacker = pthread_self();
    number = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    pthread_create(&thread, NULL, change, NULL);
    while (error != ENOSYS && time(NULL) < end) {
        int one = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        dup2(one, number);
        error = connect(one, (struct sockaddr *)&to, sizeof to) == 0 ? 0 : errno;
        close(one);
    }
    over = 1;
    pthread_join(thread, NULL);
    return error;
}
int restart(int port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 100}, {0, 100}}, never = {0};
    int strange = 0;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int round = 0; round < 2000; round++) {
        int waits = round % 2;
        int one = socket(AF_INET, SOCK_STREAM | (waits ? 0 : SOCK_NONBLOCK), 0);
        int error = connect(one, (struct sockaddr *)&to, sizeof to) == 0 ? 0 : errno;
        if (error != 0 && (waits || error != EINPROGRESS)) strange = error;
        close(one);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    return strange;
}
"""


@pytest.fixture(scope="module")
def changes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("changes")
    write(folder / "changes.c", CHANGES)
    command = ["cc", "-shared", "-fPIC", "-pthread", "-o", "changes.so", "changes.c"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "changes.so"


@pytest.fixture
def library(ask, changes):
    """The library, where the extension of that name reads it."""

    def of(name: str) -> str:
        return shutil.copy(changes, ask(name, "result = os.getcwd()")[1])

    return of


def test_a_call_that_begins_again_after_a_signal_ends_as_one(ask, library):
    code = "result = ctypes.CDLL(library).restart(listed)"
    assert ask("listed", code, library=library("listed")) == ["done", 0]


def test_a_socket_that_is_changed_during_its_connect_holds_up_nobody(ask, library, caplog):
    changes = library("hostile")
    with ThreadPoolExecutor(1) as beside:
        code = "result = ctypes.CDLL(library).attack(stuck)"
        attack = beside.submit(ask, "hostile", code, library=changes)
        slowest = 0.0
        while not attack.done():
            begun = time.monotonic()
            assert ask("runs", CONNECT) == ["done", True]
            slowest = max(slowest, time.monotonic() - begun)
    assert attack.result() == ["done", errno.ENOSYS]
    assert slowest < 4
    assert wait_until(lambda: "no connect at all any more" in caplog.text)
    assert ask("hostile", CONNECT) != ["done", True]
