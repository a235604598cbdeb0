"""The package as an installer leaves it: its files, and the list of their hashes."""

from __future__ import annotations

import base64
import hashlib
import shutil
import sysconfig

from workshop import ROOT


def install(site):
    """Puts the package of this tree into a folder for the path, with the metadata of a wheel."""
    package = ROOT / "python" / "symphony"
    # As one wheel, even where the tree has a core for each of several interpreters.
    own = sysconfig.get_config_var("EXT_SUFFIX")
    others = [core.name for core in package.glob("_core.*.so") if not core.name.endswith(own)]
    shutil.copytree(
        package, site / "symphony", ignore=shutil.ignore_patterns("__pycache__", *others)
    )
    metadata = site / "symphony-0.1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: symphony\nVersion: 0.1.0\n")
    lines = []
    for path in sorted(site.rglob("*")):
        if path.is_file():
            digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest())
            name = path.relative_to(site)
            lines.append(f"{name},sha256={digest.rstrip(b'=').decode()},{path.stat().st_size}\n")
    (metadata / "RECORD").write_text("".join([*lines, f"{metadata.name}/RECORD,,\n"]))
