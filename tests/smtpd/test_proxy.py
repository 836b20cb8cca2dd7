"""The PROXY protocol: believed from where we said, and from nowhere else."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpd.listener import proxy
from smtpd.listener.arrival import networks
from smtpd.listener.limits import Limits
from smtpd.listener.policies import CatchAll
from smtpd.listener.requests import Client as SmtpClient
from smtpd.listener.requests import Kind
from smtpd.listener.service import Service
from smtpd.paths import Path as MailPath
from smtpd.replies import Reply
from tests import certificates
from tests.smtpd.listening import Running, listening

V6 = "2001:db8::1"
V6_OCTETS = bytes.fromhex("20010db8000000000000000000000001")
HERE = networks("127.0.0.0/8")


def binary(kind: int, family: int, rest: bytes) -> bytes:
    return proxy.SIGNATURE + bytes((kind, family)) + len(rest).to_bytes(2, "big") + rest


GOOD = [
    (b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 25\r\n", "192.0.2.7"),
    (b"PROXY TCP6 2001:db8::1 2001:db8::2 5000 25\r\n", V6),
    (b"PROXY TCP6 ::ffff:192.0.2.7 ::1 5000 25\r\n", "192.0.2.7"),
    (b"PROXY UNKNOWN\r\n", ""),
    (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", ""),
    (binary(0x21, 0x11, bytes((192, 0, 2, 7, 192, 0, 2, 1, 9, 9, 0, 25))), "192.0.2.7"),
    (binary(0x21, 0x21, V6_OCTETS * 2 + b"\1\1\0\x19"), V6),
    # What a proxy adds behind the addresses (TLV) is not for us.
    (
        binary(0x21, 0x11, bytes((192, 0, 2, 7)) * 2 + b"\1\1\0\x19\x04\0\1x"),
        "192.0.2.7",
    ),
    # LOCAL: the proxy for itself; and a client without an IP address.
    (binary(0x20, 0x11, bytes((192, 0, 2, 7)) * 3), ""),
    (binary(0x20, 0x00, b""), ""),
    (binary(0x21, 0x00, b"whatever"), ""),
    (binary(0x21, 0x31, b"/a".ljust(108, b"\0") * 2), ""),
]
BAD = [
    b"EHLO c.test\r\nNOOP\r\n",
    b"proxy TCP4 192.0.2.7 192.0.2.1 5000 25\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 5000\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 65536\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.1 5000 25\r\n",
    b"PROXY TCP4 2001:db8::1 192.0.2.1 5000 25\r\n",
    b"PROXY TCP6 192.0.2.7 ::1 5000 25\r\n",
    b"PROXY TCP4 192.0.2.7 x 5000 25\r\n",
    b"PROXY TCP4  192.0.2.7 192.0.2.1 5000 25\r\n",
    b"PROXY TCP4 192.0.2.7 192.0.2.1 5000 25\n" + b"x" * 200,
    b"PROXY " + b"x" * 200 + b"\r\n",
    b"PROXY \xff\xff\xff\xff\xff\xff\xff\xff\r\n",
    binary(0x11, 0x11, bytes(12)),
    binary(0x22, 0x11, bytes(12)),
    binary(0x21, 0x12, bytes(12)),
    binary(0x21, 0x11, bytes(11)),
    binary(0x21, 0x21, bytes(35)),
    proxy.SIGNATURE + b"\x21\x11\xff\xff",
]


def read(wire: bytes) -> tuple[str, bytes]:
    """As the driver does: the address, and what stands behind the header."""
    header = b""
    while more := proxy.wanted(header):
        piece = wire[len(header) : len(header) + more]
        assert piece, "cut short"
        header += piece
    return proxy.client(header), wire[len(header) :]


@pytest.mark.parametrize(("header", "address"), GOOD)
def test_a_header_names_the_client_and_nothing_behind_it_is_read(
    header: bytes, address: str
) -> None:
    assert read(header + b"EHLO c\r\n") == (address, b"EHLO c\r\n")
    assert read(header) == (address, b"")


@pytest.mark.parametrize("header", BAD)
def test_whatever_else_is_no_header(header: bytes) -> None:
    with pytest.raises(proxy.BadHeader):
        read(header)


@given(st.binary(max_size=200), st.sampled_from([b"", b"PROXY ", proxy.SIGNATURE]))
def test_no_octets_do_worse_than_not_be_understood(octets: bytes, start: bytes) -> None:
    data = start + octets
    header = b""
    try:
        while more := proxy.wanted(header):
            assert len(header) + more <= 5000
            header += data[len(header) :][:more].ljust(more, b"\0")
        proxy.client(header)
    except proxy.BadHeader:
        return


# --- on a socket ---------------------------------------------------------------------


class Witness(CatchAll):
    """Remembers whom the session takes the client for."""

    def __init__(self) -> None:
        self.peers: list[str] = []

    def decide(self, path: MailPath, client: SmtpClient) -> tuple[Reply, object]:
        self.peers.append(client.peer)
        return super().decide(path, client)


@contextmanager
def behind_a_proxy(
    folder: Path, witness: Witness, limits: Limits | None = None
) -> Iterator[Running]:
    service = Service(witness, trusts=HERE)
    with listening(service, folder, limits=limits) as running:
        yield running


@pytest.mark.parametrize(("header", "address"), [GOOD[0], GOOD[1], GOOD[6], GOOD[8]])
def test_the_client_is_who_the_proxy_says(
    tmp_path: Path, header: bytes, address: str
) -> None:
    witness = Witness()
    with behind_a_proxy(tmp_path, witness) as running, running.connect() as client:
        # Octet by octet: nobody promises that it comes in one piece.
        for at in range(len(header)):
            client.say(header[at : at + 1])
        assert client.reply().startswith("220 ")
        client.say(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<a@l.test>\r\n")
        assert client.replies(3)[1:] == ["250 2.1.0", "250 2.1.5"]
    assert witness.peers == [address or "127.0.0.1"]


def test_the_caps_count_the_client_and_not_the_proxy(tmp_path: Path) -> None:
    limits = Limits(connections_of_peer=1)
    with (
        behind_a_proxy(tmp_path, Witness(), limits) as running,
        running.connect() as one,
        running.connect() as two,
        running.connect() as three,
    ):
        assert one.ask(GOOD[0][0]).startswith("220 ")
        assert two.ask(GOOD[0][0]).startswith("421 4.7.0")
        assert three.ask(GOOD[1][0]).startswith("220 ")


@pytest.mark.parametrize("header", [*BAD, b"PROXY TCP4 192.0.2.7"])
def test_a_proxy_that_says_something_else_is_hung_up_on(
    tmp_path: Path, header: bytes
) -> None:
    with (
        behind_a_proxy(tmp_path, Witness()) as running,
        running.connect() as client,
    ):
        client.say(header)
        if header not in BAD:
            client.half_close()
        assert client.is_hung_up()


def test_a_proxy_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    limits = Limits(proxy_seconds=0.1)
    with (
        behind_a_proxy(tmp_path, Witness(), limits) as running,
        running.connect() as client,
    ):
        assert client.is_hung_up()


@pytest.mark.parametrize("header", [GOOD[0][0], GOOD[5][0]])
def test_nobody_else_is_believed(tmp_path: Path, header: bytes) -> None:
    witness = Witness()
    service = Service(witness, trusts=networks("10.0.0.0/8"))
    with listening(service, tmp_path) as running, running.connect() as client:
        client.reply()
        client.say(header + b"\r\nQUIT\r\n")
        said = ""
        while line := client.reply():
            assert line.startswith(("500 5.5", "221 "))
            said = line
        assert said.startswith("221 ")


@pytest.mark.parametrize("verb", [b"XCLIENT ADDR=192.0.2.7", b"XFORWARD NAME=x"])
def test_postfix_own_words_are_unknown_also_behind_a_proxy(
    tmp_path: Path, verb: bytes
) -> None:
    with (
        behind_a_proxy(tmp_path, Witness()) as running,
        running.connect() as client,
    ):
        client.ask(GOOD[0][0])
        assert "XCLIENT" not in client.ask(b"EHLO c\r\n")
        assert client.ask(verb + b"\r\n").startswith("500 5.5.1")


@pytest.mark.parametrize("header", [GOOD[0][0], GOOD[5][0]])
def test_the_header_stands_before_the_handshake(tmp_path: Path, header: bytes) -> None:
    """It comes in the clear, and the client's first octets may come along."""
    context = certificates.server_context(tmp_path / "mx.pem")
    witness = Witness()
    service = Service(witness, Kind.SUBMISSION, is_tls=True, trusts=HERE)
    with (
        listening(service, tmp_path, tls_context=context) as running,
        running.connect() as client,
    ):
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ours.check_hostname, ours.verify_mode = False, ssl.CERT_NONE
        coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = ours.wrap_bio(coming, going)
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        client.say(header + going.read())
        for _ in range(20):
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.say(going.read())
                coming.write(client.sock.recv(65536))
        client.say(going.read())
        while not (said := _decrypted(tls)):
            coming.write(client.sock.recv(65536))
        assert said.startswith(b"220 mx.test")


def _decrypted(tls: ssl.SSLObject) -> bytes:
    try:
        return tls.read(4096)
    except ssl.SSLWantReadError:
        return b""
