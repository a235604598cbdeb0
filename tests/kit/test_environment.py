"""A forked extension runs in the environment of the root, from a warm image that holds no code of the user's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
import venv
from pathlib import Path

import pytest
import symphony
from kit_processes import running
from symphony.exceptions import ExtensionError
from workshop import Workshop, write

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def workshop(tmp_path):
    """Its extensions are granted nothing but what their manifests say."""
    return Workshop(tmp_path, signs=False)


PACKAGE = Path(symphony.__file__).resolve().parents[1]

# What `pip install -e` writes for a project of which only some packages are to be found: a finder, and who installs it.
FINDER = """
    import importlib.util, sys
    class Finder:
        @classmethod
        def find_spec(cls, name, path=None, target=None):
            if name == "editable":
                return importlib.util.spec_from_file_location(name, {source!r})
    def install():
        sys.meta_path.append(Finder)
"""

ABOUT = """
import sys
AT_IMPORT = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
import importlib, sysconfig
@extension.operation
def value(module: str):
    return importlib.import_module(module).VALUE
@extension.operation
def prefixes() -> list:
    return [sys.prefix, sysconfig.get_paths()["purelib"], sysconfig.get_paths()["scripts"]]
@extension.operation
def builtins() -> list:
    return [repr(exit), repr(quit), str(copyright)[:9]]
@extension.operation
def image() -> dict:
    return AT_IMPORT
"""

SCRIPT = """
import beside, editable, listed, sys, sysconfig
from symphony import boot
with boot(config={config!r}) as system:
    about = system.kit.extension("about").options(timeout=20)
    assert about.call("value", module="editable") == editable.VALUE == 7
    assert about.call("value", module="listed") == listed.VALUE == 8
    paths = sysconfig.get_paths()
    assert about.call("prefixes") == [sys.prefix, paths["purelib"], paths["scripts"]]
    assert about.call("builtins") == [repr(exit), repr(quit), str(copyright)[:9]]
    try:
        about.call("value", module="beside")
    except Exception as error:
        assert "No module named 'beside'" in str(error)
    image = about.call("image")
    own = [file for file in image.values() if file and {folder!r} in file and "site-packages" not in file]
    assert not [file for file in own if not file.endswith("about.py")], own
    assert not {{"beside", "editable", "listed"}} & set(image)
print("fine")
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment with an editable install, and a `.pth` file that names a folder."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder / "env", with_pip=False)
    site = next((folder / "env" / "lib").glob("python*/site-packages"))
    (site / "symphony.pth").write_text(f"{PACKAGE}\n")
    source = write(folder / "project" / "source.py", "VALUE = 7\n")
    write(site / "editable_finder.py", FINDER.format(source=str(source)))
    (site / "editable.pth").write_text("import editable_finder; editable_finder.install()\n")
    write(folder / "elsewhere" / "listed.py", "VALUE = 8\n")
    (site / "listed.pth").write_text(f"{folder / 'elsewhere'}\n")
    return folder


def test_an_extension_has_the_environment_of_the_root(environment, workshop):
    workshop.extension("about", ABOUT)
    write(workshop.folder / "beside.py", "VALUE = 9\n")
    folder = str(workshop.folder)
    script = SCRIPT.format(config=str(workshop.config), folder=folder)
    done = subprocess.run(
        [
            str(environment / "env" / "bin" / "python"),
            str(write(workshop.folder / "main.py", script)),
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "fine\n", done.stderr


@pytest.mark.parametrize("named", ["absolute", "relative", "through-a-link", "by-a-pth-file", None])
def test_the_folder_of_the_script_counts_where_somebody_names_it(environment, workshop, named):
    workshop.extension("about", ABOUT)
    write(workshop.folder / "beside.py", "VALUE = 9\n")
    call = f"""
    from symphony import boot
    with boot(config={str(workshop.config)!r}) as system:
        print(system.kit.extension("about").options(timeout=20).call("value", module="beside"))
    """
    script = write(workshop.folder / "main.py", call)
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    site = next((environment / "env" / "lib").glob("python*/site-packages"))
    pth = site / "beside.pth"
    if named == "absolute":
        variables["PYTHONPATH"] = str(workshop.folder)
    elif named == "relative":
        variables["PYTHONPATH"] = "."
    elif named == "through-a-link":
        (workshop.folder / "link.py").symlink_to(script)
        script = workshop.folder / "link.py"
        variables["PYTHONPATH"] = f"/nowhere{os.pathsep}{workshop.folder}"
    elif named == "by-a-pth-file":
        pth.write_text(f"{workshop.folder}\n")
    try:
        done = subprocess.run(
            [str(environment / "env" / "bin" / "python"), str(script)],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=workshop.folder,
            env=variables,
        )
    finally:
        pth.unlink(missing_ok=True)
    if named is None:
        assert "No module named 'beside'" in done.stderr
    else:
        assert done.stdout == "9\n", done.stderr


@pytest.mark.parametrize(
    "way", ["a module", "a module that leaves", "of a package", "a folder", "an archive"]
)
def test_a_program_keeps_what_it_lies_in_to_itself(environment, workshop, way):
    workshop.extension("about", ABOUT)
    home = workshop.folder / "home"
    inner = home / "app" if way == "of a package" else home
    name = "main.py" if way.startswith("a module") else "__main__.py"
    leaves = "import os; os.chdir('/')" if way == "a module that leaves" else ""
    write(home / "beside.py", "VALUE = 9\n")
    write(
        inner / name,
        f"""
        {leaves}
        import beside
        from symphony import boot
        with boot(config={str(workshop.config)!r}) as system:
            print(beside.VALUE, flush=True)
            print(system.kit.extension("about").options(timeout=20).call("value", module="beside"))
        """,
    )
    arguments = {"of a package": ["-m", "app"], "a folder": ["../home"], "an archive": ["app.pyz"]}
    if way == "an archive":
        shutil.make_archive(str(home / "app"), "zip", home)
        (home / "app.zip").rename(home / "app.pyz")
        (home / "beside.py").unlink()
    done = subprocess.run(
        [str(environment / "env" / "bin" / "python"), *arguments.get(way, ["-m", "main"])],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=home,
    )
    assert done.stdout == "9\n", done.stderr
    assert "No module named 'beside'" in done.stderr


@pytest.mark.parametrize("name", ["json", "queue", "selectors", "random"])
def test_what_lies_where_the_command_line_is_used_is_nobodys_library(workshop, name):
    """A folder that somebody has opened holds any names, and may be somebody else's."""
    workshop.extension("about", ABOUT)
    write(workshop.folder / f"{name}.py", 'raise SystemExit("of the folder")\n')
    write(workshop.folder / "brain.py", "def make() -> int:\n    return 3\n")

    def told(*arguments: str) -> subprocess.CompletedProcess[str]:
        # The console script, which has no folder of its own among the modules.
        return subprocess.run(
            [sys.executable, "-I", "-m", "symphony", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=100,
            cwd=workshop.folder,
        )

    called = told("call", "about.builtins", "--json")
    assert called.returncode == 0, called.stderr
    # What is named by a string is found there all the same.
    ran = told("run", "--conductor", "brain:make")
    assert "the Conductor is `int`" in ran.stderr, ran.stderr
    image = told("call", "about.value", "module=brain")
    assert "No module named 'brain'" in image.stderr, image.stderr


# Held by the warm image, or imported by it later, or by nobody.
NAMES = ["json", "ast", "signal", "traceback", "asyncio", "queue", "typing"]


@pytest.mark.parametrize("name", NAMES)
def test_a_module_of_the_folder_comes_before_the_librarys(workshop, name):
    entry = "from symphony.extension import Extension\nextension = Extension('x')\n"
    operations = "@extension.operation\ndef one():\n    return {}\n@extension.operation\ndef fails():\n    1 / 0\n"
    as_entry = workshop.extension("x", "", entry=f"{name}:extension")
    write(as_entry / f"{name}.py", entry + operations.format("1"))
    beside = workshop.extension("y", f"import {name}\n" + operations.format(f"{name}.MINE"))
    write(beside / name / "__init__.py", "from .part import MINE\n")
    write(beside / name / "part.py", "MINE = 2\n")
    with running(workshop) as system:
        assert system.kit.extension("x").call("one") == 1
        assert system.kit.extension("y").call("one") == 2
        for extension in ("x", "y"):
            with pytest.raises(ExtensionError, match="division by zero") as fault:
                system.kit.extension(extension).call("fails")
            assert "1 / 0" in str(fault.value.traceback)


@pytest.mark.parametrize("name", ["time", "os", "codecs"])
def test_what_the_interpreter_itself_holds_is_named(workshop, name):
    folder = workshop.extension("x", "", entry=f"{name}:extension")
    write(folder / f"{name}.py", "")
    with running(workshop) as system:
        with pytest.raises(ExtensionError, match=rf"`{name}` is a module that Python itself holds"):
            system.kit.extension("x").call("one")


def test_a_folder_without_init_comes_after_the_library(workshop):
    folder = workshop.extension(
        "x", "import json\n@extension.operation\ndef one():\n    return json.loads('1')\n"
    )
    (folder / "json").mkdir()
    with running(workshop) as system:
        assert system.kit.extension("x").call("one") == 1


def test_an_interpreter_without_site_has_an_extension_without_it(workshop):
    workshop.extension("about", ABOUT)
    call = f"""
    import sys
    sys.path[:0] = {[str(PACKAGE)]!r}
    from symphony import boot
    with boot(config={str(workshop.config)!r}) as system:
        try:
            system.kit.extension("about").options(timeout=20).call("builtins")
        except Exception as error:
            print(error)
    """
    done = subprocess.run(
        [sys.executable, "-S", "-c", textwrap.dedent(call)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "name 'exit' is not defined" in done.stdout, done.stderr
