"""Replays a dialogue against a listener, over sockets.

Before the first line is said:

    -- service NAME         which port the client comes in by: see stage.py
    -- limits a=1 b=0.5     smtpd.listener.limits.Limits, for this dialogue
    -- settings A=1         project.settings, for this dialogue
    -- listed 11.0.0.9      a blocklist in DNS has this address

While it goes on:

    -- ehlo                 greeting, EHLO or LHLO, and the whole answer to it
    -- client NAME          what follows is another connection, or that one again
    -- starttls             the client shakes hands
    -- login NAME           all up to the 235: greeting, TLS and AUTH of seed.NAME
    -- leave                the client closes its side
    -- vanish               the client is gone: the server sees a reset
    -- sigterm              the listener is told to stop
    -- database down, up    every query fails; or works again
    -- stored N             so many messages were taken
    -- received TEXT        what our Received field of the last one says
    -- report TEXT          the last report we wrote has this line
"""

from __future__ import annotations

from base64 import b64encode

from tests.dialogues.script import CLOSED, WRITTEN, Script, Step, stars
from tests.dialogues.seed import login_of
from tests.dialogues.stage import Stage
from tests.smtpd.listening import Client, until


class Play:
    """One replay; `run` fails at the first line that is not as written."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.clients: dict[str, Client] = {}
        self.name = "first"
        self.vanished: set[str] = set()

    def run(self, script: Script) -> None:
        """Play it to its end: then the server has nothing more to say."""
        try:
            for step in script.steps:
                self._step(step)
            for client in self.clients.values():
                client.half_close()
                said = client.line()
                assert not said, f"{script.path.name}: not expected at the end: {said}"
        finally:
            for client in self.clients.values():
                client.sock.close()

    def _step(self, step: Step) -> None:
        if step.mark == "--" and WRITTEN.match(step.text):
            self._expect_written(step)
        elif step.mark == "--":
            verb, *words = step.text.split()
            getattr(self, f"do_{verb}")(*words)
        elif step.mark.startswith("C"):
            self._client().say(step.octets)
        else:
            self._expect(step)

    def _expect(self, step: Step) -> None:
        said = self._client().line()
        if step.text == CLOSED:
            assert not said, f"{step.place}\nbut was: {said}"
            self.clients.pop(self.name).sock.close()
            self.vanished.add(self.name)
        else:
            assert step.pattern.fullmatch(said), f"{step.place}\nbut was: {said}"

    def _expect_written(self, step: Step) -> None:
        what, _, text = step.text.partition(" ")
        stage = self.stage
        lines = [stage.received()] if what == "received" else stage.report()
        assert any(map(stars(text).fullmatch, lines)), f"{step.place}\nbut was: {lines}"

    def _client(self) -> Client:
        """The connection that is spoken of, made when it is first needed."""
        assert self.name not in self.vanished, f"client {self.name} is gone"
        if self.name not in self.clients:
            self.clients[self.name] = self.stage.connect()
        return self.clients[self.name]

    # --- what may happen ----------------------------------------------------------

    def do_row(self, *rows: str) -> None:
        """Nothing: it is for conformance.py."""

    def do_service(self, name: str) -> None:
        self.stage.service = name

    def do_limits(self, *words: str) -> None:
        self.stage.limits.update(map(_setting, words))

    def do_settings(self, *words: str) -> None:
        self.stage.settings.update(map(_setting, words))

    def do_listed(self, address: str) -> None:
        self.stage.listed.append(address)

    def do_ehlo(self) -> None:
        if self.name not in self.clients:
            self._client().reply()
        verb = b"LHLO" if self.stage.service == "lmtp" else b"EHLO"
        assert self._client().ask(verb + b" c.test\r\n").startswith("250-mx.test\n")

    def do_client(self, name: str) -> None:
        self.name = name

    def do_starttls(self) -> None:
        self._client().start_tls()

    def do_login(self, name: str) -> None:
        self.do_ehlo()
        if self.stage.service == "submission":
            assert self._client().ask(b"STARTTLS\r\n").startswith("220 ")
            self.do_starttls()
            self.do_ehlo()
        words = "\0".join(("", *login_of(name))).encode()
        said = self._client().ask(b"AUTH PLAIN " + b64encode(words) + b"\r\n")
        assert said.startswith("235 "), said

    def do_leave(self) -> None:
        self._client().half_close()

    def do_vanish(self) -> None:
        self._client().reset()
        del self.clients[self.name]
        self.vanished.add(self.name)
        until(lambda: self.stage.connections == len(self.clients))

    def do_sigterm(self) -> None:
        until(lambda: self.stage.connections == len(self.clients))
        self.stage.running().begin_stop()

    def do_database(self, state: str) -> None:
        self.stage.set_database(is_up=state == "up")

    def do_stored(self, count: str) -> None:
        assert self.stage.messages() == int(count)


def _setting(word: str) -> tuple[str, float]:
    name, _, value = word.partition("=")
    return name, float(value) if "." in value else int(value)
