"""flufl.bounce's own sample mails: in its source distribution, not in its wheel.

They are fetched once, by pip, into a cache; no network and no cache is an error,
not a skip. FLUFL_BOUNCE_SDIST names a file that is there already.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tarfile
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

FAILED, PENDING, NONE = "failed", "pending", "none"
DETECTOR_TABLE = "tests/test_detectors.py"
# A row without addresses says that its one detector is silent, and some files
# have no row. Their outcome is what another test of the package or a person
# reads in them.
BESIDE_THE_TABLE = {
    # test_scan_llnl
    "llnl_01.txt": FAILED,
    # An RFC 3464 report: Action: failed, 550-5.7.1.
    "simple_42.txt": FAILED,
}


class Sample(NamedTuple):
    name: str
    raw: bytes
    expected: str


@cache
def samples() -> list[Sample]:
    """Every sample with the outcome that the package's own table gives it."""
    with tarfile.open(_sdist()) as archive:
        files = {
            member.name.partition("/")[2]: archive.extractfile(member)
            for member in archive.getmembers()
            if member.isfile() and "/tests/" in member.name
        }
        contents = {name: file.read() for name, file in files.items() if file}
    expected = _table(contents[DETECTOR_TABLE].decode())
    found = []
    for path, raw in sorted(contents.items()):
        name = path.rpartition("/")[2]
        if path.startswith("tests/data/") and name.endswith(".txt"):
            outcome = expected.get(name) or BESIDE_THE_TABLE.get(name, NONE)
            found.append(Sample(name, raw, outcome))
    return found


def _table(source: str) -> dict[str, str]:
    """Read DETECTORS: (detector, file, addresses, is it temporary).

    A file is permanent when any detector finds a permanent failure in it.
    """
    rows: list[tuple[str, str, list[bytes], bool]] = next(
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "DETECTORS"
    )
    outcomes: dict[str, str] = {}
    for _, name, addresses, is_temporary in rows:
        if not addresses:
            continue
        if not is_temporary:
            outcomes[name] = FAILED
        else:
            outcomes.setdefault(name, PENDING)
    return outcomes


def _sdist() -> Path:
    given = os.environ.get("FLUFL_BOUNCE_SDIST")
    if given:
        return Path(given)
    release = version("flufl.bounce")
    folder = Path(
        os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "folkmoot-tests"
    )
    wanted = folder / f"flufl_bounce-{release}.tar.gz"
    if not wanted.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                 "--no-binary", "flufl.bounce", "--dest", fresh,
                 f"flufl.bounce=={release}"],
                check=True,
            )  # fmt: skip
            [archive] = Path(fresh).glob("*.tar.gz")
            archive.replace(wanted)
    return wanted
