"""What the package index shows: name, links, interpreters, and pictures that are found without the repository."""

from __future__ import annotations

import re
import subprocess
import sys
from email.parser import HeaderParser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def metadata(tmp_path_factory):
    """The metadata that a wheel would carry, without building one."""
    folder = tmp_path_factory.mktemp("metadata")
    maturin = Path(sys.executable).with_name("maturin")
    ran = subprocess.run(
        [
            maturin,
            "pep517",
            "write-dist-info",
            "--metadata-directory",
            folder,
            "--interpreter",
            sys.executable,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    (file,) = folder.glob("*.dist-info/METADATA")
    assert file.parent.name.startswith("symphony_boot-")
    return HeaderParser().parsestr(file.read_text(encoding="utf-8"))


def test_the_distribution_is_called_otherwise_than_what_is_imported(metadata):
    import symphony

    assert metadata["Name"] == "symphony-boot"
    assert metadata["Version"] == symphony.__version__
    assert "symphony-boot" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_names_its_people_links_and_interpreters(metadata):
    assert metadata["Author"]
    links = dict(link.split(", ", 1) for link in metadata.get_all("Project-URL"))
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= set(links)
    assert all(link.startswith("https://") for link in links.values())
    classifiers = metadata.get_all("Classifier")
    for version in ("3.9", "3.10", "3.11", "3.12", "3.13"):
        assert f"Programming Language :: Python :: {version}" in classifiers
    assert metadata["Requires-Python"] == ">=3.9"


def test_every_picture_of_the_page_has_an_address_of_the_project_and_exists(metadata):
    home = dict(link.split(", ", 1) for link in metadata.get_all("Project-URL"))["Homepage"]
    raw = home.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main/"
    pictures = re.findall(
        r"!\[[^]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8")
    )
    assert pictures
    for picture in pictures:
        assert picture.startswith(raw), picture
        assert (ROOT / picture.removeprefix(raw)).is_file(), picture
