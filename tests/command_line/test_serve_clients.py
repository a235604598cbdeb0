"""`symphony serve`: clients share one system, and how they and it end is nobody else's trouble."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys

import pytest
from mcp_clients import SECONDS, Client, is_over, served, wait_for_the_end
from workshop import Workshop, wait_until

pytestmark = pytest.mark.timeout(120)

TOOLS = """
import asyncio, os, pathlib, time

HERE = pathlib.Path(__file__).parents[2]

@extension.on_start
def start():
    with open(HERE / "starts", "a") as file:
        file.write("x")

@extension.operation
def pid() -> int:
    return os.getpid()

@extension.operation
def large(size: int) -> str:
    with open(HERE / "larges", "a") as file:
        file.write("x")
    return "x" * size

@extension.operation
async def wait(name: str, seconds: float) -> str:
    (HERE / f"{name}.begun").touch()
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        (HERE / f"{name}.cancelled").touch()
        raise
    return "done"
"""


@pytest.fixture
def shop(tmp_path):
    shop = Workshop(tmp_path)
    shop.extension("tools", TOOLS)
    return shop


@pytest.fixture
def connect(shop):
    """Starts clients of the system; afterwards they and the system are gone."""
    made = []

    def start(*arguments, handshake="2025-11-25", linger=0, **more):
        client = Client(shop.folder, "--linger", linger, *arguments, handshake=handshake, **more)
        made.append(client)
        return client

    yield start
    for client in made:
        client.close()
    wait_for_the_end(shop.folder)


def test_clients_share_one_system_and_one_that_is_killed_leaves_the_others(connect, shop):
    one, two, three = connect(), connect(), connect()
    (pid,) = {client.value("tools.pid") for client in (one, two, three)}
    assert len(served(shop.folder)) == 1
    number = two.send("tools/call", name="tools.wait", arguments={"name": "two", "seconds": 60})
    assert wait_until((shop.folder / "two.begun").exists)
    # The first one started the system.
    for client in (one, two):
        client.process.kill()
        client.wait()
    assert wait_until((shop.folder / "two.cancelled").exists), f"{number} goes on"
    assert three.value("tools.pid") == pid
    assert three.end() == 0


def test_clients_that_come_at_once_start_one_system(connect, shop):
    clients = [connect(handshake=None) for _ in range(6)]
    numbers = [client.send("tools/call", name="tools.pid", arguments={}) for client in clients]
    answers = [client.answer(number) for client, number in zip(clients, numbers)]
    assert len({one["result"]["structuredContent"]["result"] for one in answers}) == 1
    assert (shop.folder / "starts").read_text() == "x"


def test_a_system_that_is_killed_is_told_and_the_next_request_starts_another(connect, shop):
    client = connect()
    first = client.value("tools.pid")
    number = client.send("tools/call", name="tools.wait", arguments={"name": "a", "seconds": 60})
    assert wait_until((shop.folder / "a.begun").exists)
    (system,) = served(shop.folder)
    os.kill(system, signal.SIGKILL)
    error = client.answer(number)["error"]
    assert (error["code"], error["data"]["code"]) == (-32010, "stopped")
    assert client.value("tools.pid") != first


def lose_the_system(client, shop):
    """Kills the system of a client, which has heard of it afterwards."""
    name = f"lost-{client.process.pid}-{len(list(shop.folder.iterdir()))}"
    number = client.send("tools/call", name="tools.wait", arguments={"name": name, "seconds": 60})
    assert wait_until((shop.folder / f"{name}.begun").exists, SECONDS)
    (system,) = served(shop.folder)
    os.kill(system, signal.SIGKILL)
    assert client.answer(number)["error"]["data"]["code"] == "stopped"


def test_a_place_that_was_removed_is_made_again(connect, shop):
    client = connect()
    lose_the_system(client, shop)
    shutil.rmtree(shop.folder / ".symphony")
    assert isinstance(client.value("tools.pid"), int)
    assert client.end() == 0


def test_a_client_without_descriptors_is_told_and_goes_on_when_it_has_some(connect, shop):
    client = connect()
    lose_the_system(client, shop)
    number = client.process.pid
    before = resource.prlimit(number, resource.RLIMIT_NOFILE)
    resource.prlimit(number, resource.RLIMIT_NOFILE, (3, before[1]))
    for _ in range(2):
        error = client.ask("tools/call", name="tools.pid", arguments={})["error"]
        assert (error["code"], error["data"]["code"]) == (-32010, "start-failed")
        assert "Too many open files" in error["message"]
    resource.prlimit(number, resource.RLIMIT_NOFILE, before)
    assert isinstance(client.value("tools.pid"), int)
    assert client.end() == 0


def test_the_tools_of_an_extension_are_known_before_it_is_started_again(connect, shop):
    client = connect()
    first = client.ask("tools/list")["result"]
    assert client.end() == 0
    wait_for_the_end(shop.folder)
    assert (shop.folder / "starts").read_text() == "x"
    client = connect()
    assert client.ask("tools/list")["result"] == first
    assert (shop.folder / "starts").read_text() == "x"
    client.value("tools.pid")
    assert (shop.folder / "starts").read_text() == "xx"
    assert client.end() == 0
    wait_for_the_end(shop.folder)
    # What was changed is asked again.
    source = shop.folder / "extensions" / "tools" / "tools.py"
    source.write_text(source.read_text() + "\n@extension.operation\ndef more(): pass\n")
    names = [tool["name"] for tool in connect().ask("tools/list")["result"]["tools"]]
    assert "tools.more" in names


def test_who_is_slow_to_start_has_its_tools_told_later(connect, shop):
    late = "import time\n@extension.on_start\ndef start(): time.sleep(4)\n"
    shop.extension("late", late + "@extension.operation\ndef here(): return 1\n")
    client = connect()
    names = {tool["name"] for tool in client.ask("tools/list")["result"]["tools"]}
    assert "tools.pid" in names
    assert "late.here" not in names
    changed = "notifications/tools/list_changed"
    assert wait_until(lambda: any(one["method"] == changed for one in client.told), 20)
    names = {tool["name"] for tool in client.ask("tools/list")["result"]["tools"]}
    assert "late.here" in names


def test_what_was_asked_before_the_input_ended_is_answered(connect):
    client = connect()
    number = client.send("tools/call", name="tools.wait", arguments={"name": "b", "seconds": 0.5})
    assert client.end() == 0
    assert client.answer(number)["result"]["structuredContent"] == {"result": "done"}
    assert client.errors() == ""


def test_it_ends_when_nobody_reads_it_any_more(connect, shop):
    client = connect(handshake=None, reads=False)
    client.send("tools/call", name="tools.wait", arguments={"name": "c", "seconds": 60})
    assert wait_until((shop.folder / "c.begun").exists, 10)
    client.process.stdout.close()
    assert client.process.wait(SECONDS) == 0
    assert wait_until((shop.folder / "c.cancelled").exists)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["term", "int"]
)
def test_a_signal_ends_it_with_its_code_and_what_it_asked_with_it(connect, shop, number, code):
    client = connect()
    asked = client.send("tools/call", name="tools.wait", arguments={"name": "d", "seconds": 60})
    assert wait_until((shop.folder / "d.begun").exists)
    client.process.send_signal(number)
    assert client.wait() == code
    assert wait_until((shop.folder / "d.cancelled").exists)
    assert not client.has_answer(asked)


def test_a_client_that_does_not_read_holds_nobody_up(connect, shop):
    other = connect()
    lazy = connect(handshake=None, reads=False)
    size = 1 << 20
    numbers, heard = [], shop.folder / "larges"
    while len(numbers) < 40:
        numbers.append(lazy.send("tools/call", name="tools.large", arguments={"size": size}))
        if not wait_until(lambda: heard.exists() and heard.stat().st_size == len(numbers), 2):
            break
    # So many were made, of 2 MiB each: 8 MiB are kept, the others are on their way in pipes and sockets.
    made = len(numbers)
    assert made < 20
    numbers += [
        lazy.send("tools/call", name="tools.large", arguments={"size": size}) for _ in range(20)
    ]
    for _ in range(5):
        assert isinstance(other.value("tools.pid"), int)
    # Of what was asked after that none was made.
    assert heard.stat().st_size <= made
    # When it does, it gets each answer.
    lazy.read_now()
    for one in numbers:
        assert len(lazy.answer(one)["result"]["structuredContent"]["result"]) == size
    assert lazy.end() == 0
    # One that never does ends by a signal all the same.
    stuck = connect(handshake=None, reads=False)
    # Less than what it may leave unread, so that what it asks next is heard.
    for _ in range(4):
        stuck.send("tools/call", name="tools.large", arguments={"size": size})
    stuck.send("tools/call", name="tools.wait", arguments={"name": "e", "seconds": 60})
    assert wait_until((shop.folder / "e.begun").exists, 10)
    stuck.process.terminate()
    assert stuck.process.wait(SECONDS) == 143


SLOW = """
import pathlib, time
from symphony import component

HERE = pathlib.Path(__file__).parent
with open(HERE / "boots", "a") as file:
    file.write("x")

@component
class Slow:
    def __init__(self):
        time.sleep(1)

    def stop(self):
        (HERE / "stopping").touch()
        time.sleep(1)
"""


def test_a_client_that_is_killed_while_the_system_starts_costs_nobody_the_start(connect, shop):
    shop.system('components = ["slow"]\n')
    (shop.folder / "slow.py").write_text(SLOW)
    first = connect(handshake=None, linger=1)
    assert wait_until((shop.folder / "boots").exists, SECONDS)
    first.process.kill()
    first.wait()
    second = connect(linger=1)
    assert isinstance(second.value("tools.pid"), int)
    assert (shop.folder / "boots").read_text() == "x"
    # So does one that is told to end: until its state is free nobody starts another.
    (system,) = served(shop.folder)
    os.kill(system, signal.SIGTERM)
    assert wait_until((shop.folder / "stopping").exists, SECONDS)
    third = connect()
    assert isinstance(third.value("tools.pid"), int)
    assert (shop.folder / "boots").read_text() == "xx"


def test_a_fork_of_the_system_keeps_its_lock_from_nobody(connect, shop):
    shop.system('components = ["forks"]\n')
    (shop.folder / "forks.py").write_text(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    open('fork', 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "    os._exit(0)\n"
    )
    client = connect()
    fork = int((shop.folder / "fork").read_text())
    try:
        assert isinstance(client.value("tools.pid"), int)
        assert client.end() == 0
        assert wait_until(lambda: is_over(shop.folder), 10)
    finally:
        os.kill(fork, signal.SIGKILL)


def test_a_system_that_does_not_boot_is_told_as_by_every_command(connect, shop, form):
    shop.system('components = ["missing"]\n')
    client = connect(handshake=None)
    assert client.wait() == 1
    form(client.errors())
    assert "missing" in client.errors()
    shop.system("unknown = 1\n")
    client = connect(handshake=None)
    assert client.wait() == 1
    form(client.errors())
    assert "unknown" in client.errors()


def test_a_system_that_is_served_otherwise_takes_no_client(connect, shop, form):
    client = connect()
    (shop.folder / "more.py").write_text("")
    other = connect("--components", "more", handshake=None)
    assert other.wait() == 1
    form(other.errors())
    assert "served with another `components`" in other.errors()
    assert client.end() == 0


def test_a_pipeline_gets_its_answers(shop, tmp_path):
    asked = '{"jsonrpc":"2.0","id":1,"method":"ping"}\r\n\n{"jsonrpc":"2.0","id":2,"method":"ping"}'
    ran = subprocess.run(
        [sys.executable, "-m", "symphony", "serve", str(tmp_path), "--linger", "0"],
        check=False,
        input=asked,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "".join(
        f'{{"jsonrpc":"2.0","id":{number},"result":{{}}}}\n' for number in (1, 2)
    )
    wait_for_the_end(shop.folder)


def test_a_module_of_the_working_directory_comes_not_before_the_librarys(shop):
    for name in ("argparse", "subprocess", "asyncio"):
        (shop.folder / f"{name}.py").write_text("raise SystemExit('of the project')\n")
    # As the installed script, which has not the working directory on its path.
    script = "import sys; del sys.path[0]; from symphony.__main__ import main; sys.exit(main())"
    ran = subprocess.run(
        [sys.executable, "-c", script, "serve", "--linger", "0"],
        check=False,
        cwd=shop.folder,
        input='{"jsonrpc":"2.0","id":1,"method":"ping"}\n',
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert '"result":{}' in ran.stdout
    wait_for_the_end(shop.folder)


def test_the_place_of_the_system_is_this_accounts_alone(connect, shop, form):
    client = connect()
    folder = shop.folder / ".symphony" / "serve"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "socket").stat().st_mode & 0o777 == 0o600
    assert client.end() == 0
    wait_for_the_end(shop.folder)
    folder.chmod(0o755)
    other = connect(handshake=None)
    assert other.wait() == 1
    form(other.errors())
    folder.chmod(0o700)
    # A link in it is not followed.
    (folder / "log").unlink()
    (folder / "log").symlink_to(shop.folder / "precious")
    (shop.folder / "precious").write_text("kept")
    last = connect(handshake=None)
    assert last.wait() == 1
    assert (shop.folder / "precious").read_text() == "kept"
    (folder / "log").unlink()


def test_it_lingers_for_the_next_client_and_then_ends(connect, shop):
    client = connect(linger=1)
    pid = client.value("tools.pid")
    assert client.end() == 0
    assert connect(linger=1).value("tools.pid") == pid
