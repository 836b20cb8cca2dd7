"""A small DNS server on loopback, for tests: answers what it is told.

    with Dns() as dns:
        dns.add("home.test", "MX", "10 mx.home.test.")
        dns.add("mx.home.test", "A", "127.0.0.2")
        dns.fail("dead.test", "SERVFAIL")
        ... DNS_SERVER=dns.address

It knows names below .test only by what was added: another name does not
exist. CNAMEs are followed inside an answer as far as they are known here.
"""

from __future__ import annotations

import asyncio
import struct
import threading
from collections import Counter
from typing import Self, cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL = 300
SILENCE = "silence"


class Dns:
    """A server on UDP and TCP of one port, in a thread of its own."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], dns.rrset.RRset] = {}
        self._failures: dict[str, str] = {}
        # Answer over UDP with the truncated bit and nothing else.
        self.truncates = False
        # Follow CNAMEs in one answer, as a recursive server does.
        self.chases = True
        # How often each name and kind was asked for.
        self.asked: Counter[tuple[str, str]] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    @property
    def address(self) -> str:
        """For DNS_SERVER."""
        return f"127.0.0.1:{self.port}"

    def add(self, name: str, kind: str, *values: str, ttl: int = TTL) -> None:
        """Give a name its records of one kind, in place of those it had."""
        self._records[(name, kind)] = dns.rrset.from_text(
            f"{name}.", ttl, "IN", kind, *values
        )

    def fail(self, name: str, how: str) -> None:
        """Answer every question about a name with SERVFAIL, REFUSED or silence."""
        self._failures[name] = how

    def heal(self, name: str) -> None:
        """Take fail() back."""
        del self._failures[name]

    def clear(self, name: str) -> None:
        """Forget a name: it does not exist."""
        for key in [key for key in self._records if key[0] == name]:
            del self._records[key]

    async def _start(self) -> None:
        server = await asyncio.start_server(self._over_tcp, "127.0.0.1", 0)
        self._tcp = server
        self.port = server.sockets[0].getsockname()[1]
        self._udp, _ = await self._loop.create_datagram_endpoint(
            lambda: _Datagrams(self), local_addr=("127.0.0.1", self.port)
        )

    async def _stop(self) -> None:
        self._udp.close()
        self._tcp.close()
        await self._tcp.wait_closed()

    async def _over_tcp(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while True:
                (size,) = struct.unpack("!H", await reader.readexactly(2))
                answer = self.answer(await reader.readexactly(size))
                if answer is not None:
                    wire = answer.to_wire()
                    writer.write(struct.pack("!H", len(wire)) + wire)
        except asyncio.IncompleteReadError:
            writer.close()

    def answer(self, question: bytes) -> dns.message.Message | None:
        """What a question gets, or None: silence."""
        query = dns.message.from_wire(question)
        (asked,) = query.question
        kind = dns.rdatatype.to_text(asked.rdtype)
        name = asked.name.to_text(omit_final_dot=True).lower()
        self.asked[(name, kind)] += 1
        how = self._failures.get(name)
        if how == SILENCE:
            return None
        reply = dns.message.make_response(query, recursion_available=True)
        if how is not None:
            reply.set_rcode(dns.rcode.from_text(how))
            return reply
        self._fill(reply, name, kind)
        return reply

    def _fill(self, reply: dns.message.Message, name: str, kind: str) -> None:
        seen: set[str] = set()
        while (alias := self._records.get((name, "CNAME"))) and kind != "CNAME":
            reply.answer.append(alias)
            seen.add(name)
            name = alias[0].target.to_text(omit_final_dot=True).lower()
            if not self.chases or name in seen:
                return
        records = self._records.get((name, kind))
        if records is not None:
            reply.answer.append(records)
        elif not any(known == name for known, _ in self._records):
            reply.set_rcode(dns.rcode.NXDOMAIN)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: Dns) -> None:
        self.server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11 does not say so of its own class.
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self.server.answer(data)
        if answer is None:
            return
        if self.server.truncates:
            answer.flags |= dns.flags.TC
            answer.answer.clear()
        self.transport.sendto(answer.to_wire(max_size=65535), addr)
