"""Domains on loopback: DNS, mail servers at addresses of their own, a worker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

import dns.asyncresolver

from smtpd.outbound.mx import Exchanges, Site
from smtpd.outbound.relay import TLS, Hop
from smtpd.outbound.wire import Timeouts
from smtpd.queue import ways
from smtpd.queue.worker import Worker
from tests.dns import Dns
from tests.sink import Script, Sink
from tests.smtpd.sending import QUICK
from tests.stack import free_port


class Net:
    """Domains, their servers and who may send to them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.dns = stack.enter_context(Dns())
        self.port = free_port()
        self._last = 1

    def address(self) -> str:
        """One that nobody has yet."""
        self._last += 1
        return f"127.0.0.{self._last}"

    def server(self, script: Script | None = None) -> Sink:
        """A mail server at an address of its own."""
        sink = Sink(script, host=self.address(), port=self.port)
        return self._stack.enter_context(sink)

    def domain(self, name: str, *servers: Sink | str) -> None:
        """A domain and its servers, the first preferred; a text is an address."""
        names = []
        for at, server in enumerate(servers):
            host = f"mx{at}.{name}"
            names.append(f"{at} {host}.")
            self.dns.add(host, "A", server if isinstance(server, str) else server.host)
        self.dns.add(name, "MX", *names)

    @contextmanager
    def working(
        self,
        *,
        connections: int = 20,
        ours: Hop | None = None,
        timeouts: Timeouts = QUICK,
        **told: Any,
    ) -> Iterator[Worker]:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], self.dns.port
        resolver.timeout = 0.1
        site = Site("mx.lists.test", self.port, TLS.NONE, may_be_private=True)
        exchanges = Exchanges(resolver, replace(site, **told))
        worker = Worker(ways.to_domains(exchanges, ours, connections), timeouts)
        try:
            yield worker
        finally:
            worker.stop(5)
