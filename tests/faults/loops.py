"""Two sites, and addresses of theirs that lead back to where they begin."""

from __future__ import annotations

import contextlib
import queue
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack

from tests.dns import Dns
from tests.faults.client import Client, stuffed
from tests.faults.load import DOT
from tests.faults.places import DOMAIN as HERE
from tests.faults.places import Place, call, founding, people
from tests.faults.scene import PARTS, Scene, scene, store
from tests.sink import Received, Sink
from tests.stack import Stack, free_port

THERE = "there.test"
# What the sites call themselves.
NAMES = {HERE: "mx.folkmoot.test", THERE: "mx.there.test"}
GONE = ("gone@people.test", "gone@far.test")
MIRROR = "mirror@people.test"
NOBODY = frozenset[str]()

# Each of these leads back to its own address: over the other site, or here.
RING = Place(f"ping@{HERE}", 8, frozenset({"ping@people.test"}))
ECHO = Place(f"echo@{HERE}", 8, people("echo", 5))
TENNIS = Place(f"tennis@{HERE}", 8, people("tennis", 5))
DESK = Place(f"desk-owner@{HERE}", 8, NOBODY)
CIRCLE = Place(f"one@{HERE}", 4, NOBODY)
LOST = Place(f"lost@{HERE}", 8, NOBODY, frozenset({GONE[0]}))
SELF = Place(f"strip@{HERE}", 2, frozenset({MIRROR}))
LOOPS = (RING, ECHO, TENNIS, DESK, CIRCLE, LOST)
# Who is behind them on the other site, and what it tries to bring back.
BEYOND = {
    RING.address: (NOBODY, f"ping@{HERE}"),
    ECHO.address: (NOBODY, f"echo@{HERE}"),
    TENNIS.address: (
        frozenset(f"tennis{number}@far.test" for number in range(5)),
        f"tennis@{HERE}",
    ),
    DESK.address: (NOBODY, f"desk-owner@{HERE}"),
}
# By whom it goes there.
OVER = {
    RING.address: f"ping@{THERE}",
    ECHO.address: f"echo@{THERE}",
    TENNIS.address: f"tennis@{THERE}",
    DESK.address: f"boss@{THERE}",
}
# It has come a long way: the rest of it is soon gone.
FAR = b"Received: from a by b; Tue, 24 Nov 2026 10:00:00 +0000\r\n" * 90


@contextlib.contextmanager
def two_sites(seed: int) -> Iterator[tuple[Scene, Scene, Mirror]]:
    """Each hosts one domain and sends to the other's, and both to the sink."""
    port = free_port()
    with ExitStack() as stack:
        dns = stack.enter_context(Dns())
        sink = Sink(host="127.0.0.3", port=port)
        dns.add(HERE, "A", "127.0.0.1")
        dns.add(THERE, "A", "127.0.0.2")
        for name in ("people.test", "far.test", "example.org"):
            dns.add(name, "A", sink.host)
        env = {
            "RELAY": "mx",
            "RELAY_TLS": "none",
            "MX_PORT": str(port),
            "MX_PRIVATE": "1",
            "DNS_SERVER": dns.address,
        }

        def site(domain: str, bind: str, sink: Sink) -> Scene:
            own = {"SMTP_BIND": f"{bind}:{port}", "SMTP_HOSTNAME": NAMES[domain]}
            return stack.enter_context(
                scene(store(seed), seed, parts=(), env=env | own, sink=sink)
            )

        here = site(HERE, "127.0.0.1", sink)
        there = site(THERE, "127.0.0.2", Sink())
        mirror = Mirror(port)
        sink.on_message = mirror.see
        sink.script.rcpt.update(dict.fromkeys(GONE, "550 5.1.1 who?"))
        furnish(here.stack, there.stack)
        for one in (here.stack, there.stack):
            parts = PARTS if one.env["BROKER_URL"].startswith("redis+") else PARTS[1:]
            one.start(*parts)
            one.wait_ready(*parts)
        here.places = [*here.places, *LOOPS]
        yield here, there, stack.enter_context(mirror)


class Mirror:
    """A server that sends each message back, and takes our marks out of it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.ends: list[tuple[int, str]] = []
        self._seen: queue.SimpleQueue[Received | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._send_back, daemon=True)

    def __enter__(self) -> Mirror:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._seen.put(None)
        self._thread.join(30)

    def see(self, copy: Received) -> None:
        """Called in the sink's thread."""
        if MIRROR in copy.recipients:
            self._seen.put(copy)

    def _send_back(self) -> None:
        way = FAR
        while (copy := self._seen.get()) is not None:
            raw = way + re.sub(rb"(?im)^Delivered-To: .*\r\n", b"", copy.raw)
            way = b""
            with Client(self.port) as client:
                client.hello()
                client.ask(f"MAIL FROM:<{copy.sender}>")
                client.ask(f"RCPT TO:<{SELF.address}>")
                client.ask("DATA")
                client.write(stuffed(raw) + DOT)
                reply = client.read()
            if reply[0] != 250:
                self.ends.append(reply)


def furnish(here: Stack, there: Stack) -> None:
    """Found the loops; the demonstration of the other site moves to its domain."""
    there.execute(f"UPDATE smtpd_domain SET name = '{THERE}' WHERE name = '{HERE}'")
    call(
        here,
        [
            f"'addalias', 'ping@{HERE}', 'ping@{THERE}', 'ping@people.test'",
            *founding(here, ECHO.address, {*ECHO.owed, f"echo@{THERE}"}),
            *founding(here, TENNIS.address, {*TENNIS.owed, f"tennis@{THERE}"}),
            *founding(here, f"desk@{HERE}", (), owner=f"boss@{THERE}"),
            f"'addalias', 'lost@{HERE}', '{GONE[0]}'",
            f"'addalias', '{SELF.address}', '{MIRROR}'",
            f"'addalias', 'one@{HERE}', 'x@people.test'",
            f"'addalias', 'two@{HERE}', 'one@{HERE}'",
        ],
    )
    # What no page lets anybody save.
    here.execute(
        f"UPDATE aliases_target SET mailbox = 'two@{HERE}'"
        " WHERE mailbox = 'x@people.test'"
    )
    back, members = f"tennis@{HERE}", BEYOND[TENNIS.address][0]
    call(
        there,
        [
            f"'addalias', 'ping@{THERE}', 'ping@{HERE}'",
            f"'addalias', 'echo@{THERE}', 'echo@{HERE}'",
            *founding(there, f"tennis@{THERE}", {*members, back}),
            f"'addalias', 'boss@{THERE}', 'desk-owner@{HERE}'",
            f"'addalias', 'dead@{THERE}', '{GONE[1]}'",
        ],
    )
