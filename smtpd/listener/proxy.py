"""The header in which a proxy says whom it brings. Pure.

PROXY protocol, versions 1 (a line) and 2 (binary), as HAProxy describes it. It
stands before the first octet of the client, so no octet behind it may be read
by mistake: `wanted` says how many are the header's for sure.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
# Version, command, family and length behind it.
_FIXED = len(SIGNATURE) + 4
# The shortest first version is `PROXY UNKNOWN` with its line end.
_SHORTEST = 15
_LONGEST_LINE = 107
# Addresses have 36 octets, or 216 for a socket; the rest are notes to us (TLV).
_MOST = 4096
_LINE = re.compile(
    rb"PROXY (?:(TCP4|TCP6) (\S+) (\S+) ([0-9]{1,5}) ([0-9]{1,5})|UNKNOWN(?: .*)?)\r\n"
)
_LOCAL, _PROXY = 0x20, 0x21
_IPV4, _IPV6 = 0x11, 0x21
# Unspecified, and the stream and datagram sockets of the proxy's own machine.
_NAMELESS = frozenset((0x00, 0x31, 0x32))


class BadHeader(ValueError):
    """Not what a proxy says: whoever is there is not to be believed."""


def wanted(data: bytes) -> int:
    """How many octets more are the header's for sure; 0 when it is whole."""
    if data.startswith(SIGNATURE):
        return _missing(data)
    if not (SIGNATURE.startswith(data) or data[:6] == b"PROXY "[: len(data)]):
        raise BadHeader("neither PROXY nor the signature")
    if len(data) < _SHORTEST:
        return _SHORTEST - len(data)
    if data.endswith(b"\r\n"):
        return 0
    if len(data) >= _LONGEST_LINE:
        raise BadHeader("line too long")
    return 1


def _missing(data: bytes) -> int:
    if len(data) < _FIXED:
        return _FIXED - len(data)
    length = int.from_bytes(data[_FIXED - 2 : _FIXED], "big")
    if length > _MOST:
        raise BadHeader(f"{length} octets are too many")
    return _FIXED + length - len(data)


def client(header: bytes) -> str:
    """The client's IP address as a whole header gives it.

    "" when there is none: the proxy speaks for itself (a health check), or
    does not know.
    """
    if header.startswith(SIGNATURE):
        return _binary(header)
    match = _LINE.fullmatch(header)
    if match is None:
        raise BadHeader("malformed line")
    family, source, destination, *ports = match.groups()
    if family is None:
        return ""
    if any(int(port) > 65535 for port in ports):
        raise BadHeader("no such port")
    make = IPv4Address if family == b"TCP4" else IPv6Address
    try:
        make(destination.decode("ascii"))
        return _named(make(source.decode("ascii")))
    except (AddressValueError, UnicodeDecodeError):
        raise BadHeader("malformed address") from None


def _binary(header: bytes) -> str:
    kind, family = header[len(SIGNATURE)], header[len(SIGNATURE) + 1]
    if kind == _LOCAL:
        return ""
    if kind != _PROXY:
        raise BadHeader("unknown version or command")
    if family in _NAMELESS:
        return ""
    rest = header[_FIXED:]
    if family == _IPV4 and len(rest) >= 12:
        return _named(IPv4Address(rest[:4]))
    if family == _IPV6 and len(rest) >= 36:
        return _named(IPv6Address(rest[:16]))
    raise BadHeader("unknown family, or an address cut short")


def _named(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    return str(address).partition("%")[0]
