"""Run by `manage.py up`, which has migrated, checked and taken the lock."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import sys
import time
from types import FrameType

from project import binds
from project.supervisor import lines, sockets
from project.supervisor.child import Child
from project.supervisor.life import Born, call_us, live
from project.supervisor.loading import load
from project.supervisor.plan import parts, stopping
from project.supervisor.sockets import Bound
from project.supervisor.turnover import Turnover


class Supervisor:
    """The loop: read, reap, start again, until a signal ends it.

    SIGHUP puts new listeners in place of the old ones; in a terminal it means
    that the terminal has gone, and ends it like the others.
    """

    def __init__(self, env: dict[str, str], bound: Bound) -> None:
        self.env = env
        # Only for the banner; the parts have no need to know it.
        self.signin_url = env.pop("FOLKMOOT_SIGNIN_URL", "")
        os.environ.pop("FOLKMOOT_SIGNIN_URL", None)
        self.children = {
            part.name: Child(part, bound if part.is_listener else ())
            for part in parts(env)
        }
        self.turnover = Turnover(self._start)
        self.selector = selectors.DefaultSelector()
        self.colour = lines.wants_colour(sys.stdout, env)
        self.is_stopping = False
        self.is_announced = False

    def say(self, name: str, text: str) -> None:
        """Write a line; a terminal that is gone must not stop the mail."""
        with contextlib.suppress(OSError):
            print(lines.prefix(name, colour=self.colour) + text, flush=True)  # noqa: T201 - our log

    def run(self) -> None:
        """Keep all parts alive until told to stop, then stop them in order."""
        self._hear_signals()
        while not self.is_stopping:
            self._start_due()
            self.turnover.step(self.children, self.say)
            self._turn(1.0 if self.is_announced else 0.2)
            if not self.is_announced and self._all_answer():
                self._announce()
        self._stop_all()

    def _hear_signals(self) -> None:
        """Let a signal wake the selector."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        self.selector.register(ours, selectors.EVENT_READ, None)
        self._wake = (ours, theirs)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_stop)
        has_terminal = sys.stdin.isatty()
        signal.signal(signal.SIGHUP, self._on_stop if has_terminal else self._on_reload)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        if self.is_stopping:
            # The second time they mean it.
            for child in self._all():
                child.kill()
        self.is_stopping = True

    def _on_reload(self, number: int, frame: FrameType | None) -> None:
        self.turnover.begin(
            [name for name, child in self.children.items() if child.part.is_listener]
        )

    def _start(self, child: Child) -> None:
        self.selector.register(child.start(), selectors.EVENT_READ, child)

    def _start_due(self) -> None:
        now = time.monotonic()
        for child in self.children.values():
            if not child.is_running and child.start_at <= now:
                self._start(child)

    def _all(self) -> list[Child]:
        return [*self.children.values(), *self.turnover.children()]

    def _turn(self, timeout: float) -> None:
        """Pass on what the parts said, and notice who has ended."""
        for key, _ in self.selector.select(timeout):
            if isinstance(key.data, Child):
                self._pass_on(key.data)
            else:
                with contextlib.suppress(BlockingIOError):
                    self._wake[0].recv(4096)
        for child in self._all():
            code = child.reap()
            if code is not None:
                self._bury(child, code)

    def _pass_on(self, child: Child) -> bool:
        said = child.read()
        for line in child.lines.feed(b"") if said is None else said:
            self.say(child.part.name, line)
        if said is None:
            with contextlib.suppress(KeyError):
                self.selector.unregister(child.output)
        return bool(said)

    def _bury(self, child: Child, code: int) -> None:
        while self._pass_on(child):
            pass
        with contextlib.suppress(KeyError):
            self.selector.unregister(child.output)
        child.forget()
        name, wait = child.part.name, child.start_at - time.monotonic()
        if self.is_stopping or self.children[name] is not child:
            self.say(name, "stopped")
        else:
            self.say(name, f"ended code={code}; starting again in {wait:.1f} s")

    def _all_answer(self) -> bool:
        host = self.env["BASE_URL"].split("/")[2]
        question = f"GET /healthz HTTP/1.0\r\nHost: {host}\r\n\r\n"
        web = _hear(self.env["WEB_BIND"], question.encode())
        return web.startswith(b"HTTP/") and (
            not self.env["SMTP_BIND"] or _hear(self.env["SMTP_BIND"], b"")[:3] == b"220"
        )

    def _announce(self) -> None:
        self.is_announced = True
        facts = {
            "Site": self.env["BASE_URL"] + "/",
            "Mail": f"smtp://{self.env['SMTP_BIND']}" if self.env["SMTP_BIND"] else "",
            "Sign in": self.signin_url,
            "Data": self.env["FOLKMOOT_DATA"],
        }
        strong = "\x1b[1m{}\x1b[0m" if self.colour else "{}"
        self.say("folkmoot", "")
        for label, value in facts.items():
            if value:
                self.say("folkmoot", f"{label + ':':<9}{strong.format(value)}")
        self.say("folkmoot", "Stop:    Ctrl-C")
        self.say("folkmoot", "")

    def let_go(self) -> None:
        """Close what is of no use to a child of ours."""
        self.selector.close()
        for end in self._wake:
            end.close()

    def _stop_all(self) -> None:
        self.say("folkmoot", "stopping")
        for group in stopping(list(self.children)):
            children = [child for child in self._all() if child.part.name in group]
            for child in children:
                child.stop()
            self._wait(children, max(child.part.grace for child in children))

    def _wait(self, children: list[Child], grace: float) -> None:
        deadline = time.monotonic() + grace
        while any(child.is_running for child in children):
            if time.monotonic() > deadline:
                for child in children:
                    if child.is_running:
                        self.say(child.part.name, f"still there after {grace:.0f} s")
                    child.kill()
            self._turn(0.1)


def _hear(bind: str, question: bytes) -> bytes:
    """Return the first bytes a part of ours says, or nothing."""
    try:
        with socket.create_connection(binds.reach(bind), timeout=0.5) as peer:
            peer.settimeout(2)
            peer.sendall(question)
            return peer.recv(64)
    except OSError:
        return b""


def main() -> None:
    """Bind and load, then run; each child comes back here to become a part."""
    env = dict(os.environ)
    try:
        bound = sockets.bind(env)
    except OSError as error:
        raise SystemExit(f"not started: {error}") from error
    load()
    call_us("folkmoot")
    supervisor = Supervisor(env, bound)
    try:
        supervisor.run()
        return
    except Born as born:
        life = born.life
    supervisor.let_go()
    for _, sock in bound:
        sock.detach()
    live(life)


if __name__ == "__main__":
    main()
