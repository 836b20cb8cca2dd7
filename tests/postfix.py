"""Debian's real Postfix on a stage of its own, beside any that the machine has.

    with start_postfix({"relayhost": f"[127.0.0.1]:{sink.port}"}) as postfix:
        smtplib.SMTP("127.0.0.1", postfix.port)

Its configuration, queue, data and log are in a temporary folder. It must be
started by root and works as the user postfix, as the package made it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.stack import ROOT, free_port, wait_until

# Where Debian's package has it; not on everybody's PATH.
SBIN = Path("/usr/sbin")
# The services that taking, queueing and sending need; nothing in a chroot.
_MASTER = """\
{port} inet n - n - - smtpd
{extra}
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A running Postfix."""

    def __init__(self, folder: Path, port: int, host: str) -> None:
        self.folder = folder
        self.port = port
        self.host = host

    @property
    def config(self) -> Path:
        """Its main.cf and master.cf."""
        return self.folder / "conf"

    def log(self) -> str:
        """What it has logged until now."""
        path = self.folder / "maillog"
        return path.read_text() if path.exists() else ""

    def lines(self, pattern: str) -> list[str]:
        """The lines of its log that match."""
        return [line for line in self.log().splitlines() if re.search(pattern, line)]

    def query(self, table: str, key: str) -> str | None:
        """Look a key up in a table as Postfix does; None when it is not there."""
        done = subprocess.run(
            (SBIN / "postmap", "-c", self.config, "-q", key, table),
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert not done.stderr, done.stderr
        return done.stdout.removesuffix("\n") if done.returncode == 0 else None

    def queued(self) -> int:
        """How many messages it has not done with."""
        queue = self.folder / "queue"
        # In the order in which a message may move while we look.
        folders = (
            queue / name for name in ("maildrop", "incoming", "deferred", "active")
        )
        return sum(path.is_file() for folder in folders for path in folder.rglob("*"))

    def greets(self, port: int) -> bool:
        """Whether it answers on this port."""
        try:
            with socket.create_connection((self.host, port), timeout=5) as peer:
                return peer.recv(3) == b"220"
        except OSError:
            return False


def _main(folder: Path, settings: Mapping[str, str]) -> str:
    own = {
        "compatibility_level": "3.6",
        "queue_directory": str(folder / "queue"),
        "data_directory": str(folder / "data"),
        "maillog_file": str(folder / "maillog"),
        "maillog_file_prefixes": str(folder),
        "inet_interfaces": "127.0.0.1",
        "inet_protocols": "ipv4",
        "myhostname": "front.test",
        "mydestination": "",
        "mynetworks": "",
        "alias_maps": "",
        "local_recipient_maps": "",
        "smtpd_peername_lookup": "no",
        "disable_dns_lookups": "yes",
    }
    return "".join(f"{name} = {value}\n" for name, value in {**own, **settings}.items())


@contextlib.contextmanager
def start_postfix(
    settings: Mapping[str, str],
    *,
    port: int = 0,
    master: str = "",
    host: str = "127.0.0.1",
    within: Sequence[str] = (),
) -> Iterator[Postfix]:
    """Start one, wait until it greets, and leave nothing behind.

    `settings` go to main.cf; `master` has more services, their ports written
    as the tests chose them. `within` is a command that runs it elsewhere, where
    `host` is its address.
    """
    need_postfix()
    if os.geteuid() != 0:
        pytest.skip("only root can start a Postfix")
    with contextlib.ExitStack() as cleanup:
        folder = Path(tempfile.mkdtemp(prefix="postfix-"))
        cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        # The user postfix has to get in.
        folder.chmod(0o755)
        postfix = Postfix(folder, port or free_port(), host)
        for name in ("conf", "queue", "data"):
            (folder / name).mkdir()
        shutil.chown(folder / "data", "postfix")
        (postfix.config / "main.cf").write_text(_main(folder, settings))
        services = _MASTER.format(port=postfix.port, extra=master)
        (postfix.config / "master.cf").write_text(services)
        process = subprocess.Popen(
            (*within, SBIN / "postfix", "-c", postfix.config, "start-fg"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        cleanup.callback(_stop, postfix, process)
        ports = [postfix.port, *map(int, re.findall(r"(?m)^(\d+) inet", master))]
        try:
            for port in ports:
                wait_until(partial(postfix.greets, port), 30, f"greeting on {port}")
        except AssertionError as error:
            error.add_note(postfix.log())
            raise
        yield postfix


def need_postfix() -> None:
    """CI installs it; on a machine without it these tests have no meaning."""
    if not (SBIN / "postfix").exists():
        assert "CI" not in os.environ, "the package postfix is not installed"
        pytest.skip("the package postfix is not installed")


def _stop(postfix: Postfix, process: subprocess.Popen[bytes]) -> None:
    """End master, and with it all others: they are a process group."""
    pid = postfix.folder / "queue" / "pid" / "master.pid"
    master = int(pid.read_text()) if pid.exists() else process.pid
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(master, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
            return


def recipe(name: str, words: Mapping[str, str]) -> dict[str, str]:
    """The settings that docs/operating.md gives under this remark.

    What stands there for one site is replaced by the tests' own: a word that
    the recipe does not have is a mistake.
    """
    text = (ROOT / "docs" / "operating.md").read_text()
    _, found, rest = text.partition(f"    # main.cf: {name}\n")
    assert found, f"no recipe {name}"
    block = re.match(r"(?: {4}.*\n)+", rest)
    assert block
    lines = textwrap.dedent(block[0])
    for there, here in words.items():
        assert there in lines, f"{there} is not in the recipe"
        lines = lines.replace(there, here)
    return dict(
        setting.split(" =", 1) for setting in re.findall(r"(?m)^\S.*(?:\n .*)*", lines)
    )
