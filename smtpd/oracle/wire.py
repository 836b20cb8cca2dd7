"""Postfix's two kinds of question cut out of a stream of octets. Pure.

socketmap_table(5) sends netstrings, `25:recipient talk@lists.test,`; an access
policy client (SMTPD_POLICY_README) lines of `name=value` up to an empty one. A
netstring begins with a digit and no attribute does: both may use one port.
"""

from __future__ import annotations

from dataclasses import dataclass

from smtpd.replies import Reply

# No question with a path of RFC 5321 4.5.3.1.3 in it comes near.
REQUEST_OCTETS = 16_384
_DIGITS = len(str(REQUEST_OCTETS))
_POLICY = "smtpd_access_policy"


class Unreadable(ValueError):
    """Neither of the two protocols: there is no answer but to hang up."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """`postmap -q key socketmap:...:table`."""

    table: str
    key: str


@dataclass(frozen=True, slots=True)
class Access:
    """May this recipient be taken? It is empty before RCPT."""

    recipient: str


class Questions:
    """Holds what was read and not looked at yet."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def next(self) -> Lookup | Access | None:
        """Return the next question, None when its end has not come yet."""
        if not self.buffer:
            return None
        return self._lookup() if self.buffer[:1].isdigit() else self._access()

    def _lookup(self) -> Lookup | None:
        digits, colon, _ = bytes(self.buffer[: _DIGITS + 1]).partition(b":")
        if not digits.isdigit() or (not colon and len(digits) > _DIGITS):
            raise Unreadable("not a netstring")
        if not colon:
            return None
        size = int(digits)
        if size > REQUEST_OCTETS:
            raise Unreadable("netstring too long")
        start = len(digits) + 1
        if len(self.buffer) <= start + size:
            return None
        text = self._take(start + size + 1)[start:]
        if not text.endswith(","):
            raise Unreadable("netstring without its comma")
        table, _, key = text[:-1].partition(" ")
        return Lookup(table, key)

    def _access(self) -> Access | None:
        end = self.buffer.find(b"\n\n")
        if max(end, len(self.buffer) if end < 0 else 0) > REQUEST_OCTETS:
            raise Unreadable("request too long")
        if end < 0:
            return None
        lines = self._take(end + 2).split("\n")
        attributes = dict(line.partition("=")[::2] for line in lines)
        if attributes.get("request") != _POLICY:
            raise Unreadable("not an access policy request")
        is_rcpt = attributes.get("protocol_state") == "RCPT"
        return Access(attributes.get("recipient", "") if is_rcpt else "")

    def _take(self, octets: int) -> str:
        """Cut off the front; what is no UTF-8 stays recognisably none."""
        taken = self.buffer[:octets].decode("utf-8", "surrogateescape")
        del self.buffer[:octets]
        return taken


def transport(bind: str, hostname: str) -> str:
    """Name the LMTP port that we bind as Postfix does, "" for none."""
    if not bind or bind.startswith("/"):
        return bind and f"lmtp:unix:{bind}"
    host, _, port = bind.rpartition(":")
    if host in ("", "0.0.0.0", "[::]"):  # noqa: S104 - compared, not bound
        host = hostname
    return f"lmtp:inet:{host}:{port}"


def found(value: str) -> bytes:
    """Answer a lookup with a value."""
    return _netstring(f"OK {value}")


def not_found() -> bytes:
    """Answer a lookup: there is no such key."""
    return _netstring("NOTFOUND ")


def no_table(table: str) -> bytes:
    """Answer a lookup in a table that we do not have."""
    return _netstring(f"PERM there is no table {table}")


def not_now(reply: Reply) -> bytes:
    """Answer a lookup that our trouble left without an answer."""
    return _netstring(f"TEMP {_line(reply)}")


def go_on() -> bytes:
    """Answer an access request: we have nothing against it."""
    return b"action=DUNNO\n\n"


def refuse(reply: Reply) -> bytes:
    """Answer an access request with our own refusal, for good or for now."""
    if reply.code < 500:
        # Only if nothing else refuses for good; Postfix chooses the code.
        later = f"{reply.enhanced} {reply.text}"
        return f"action=DEFER_IF_PERMIT {_plain(later)}\n\n".encode()
    return f"action={_line(reply)}\n\n".encode()


def _netstring(text: str) -> bytes:
    octets = text.encode("utf-8", "replace")
    return b"%d:%b," % (len(octets), octets)


def _line(reply: Reply) -> str:
    return _plain(str(reply))


def _plain(text: str) -> str:
    """One line of ASCII, as in a reply of our own."""
    return " ".join(text.encode("ascii", "replace").decode().split())
