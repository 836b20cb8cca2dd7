"""What a sender asks to hear about a message (RFC 3461, RFC 6533). Pure.

The parameters of MAIL and RCPT are checked when they come in and kept as they
came; whoever shows one decodes it here. What is decoded has no control
characters: none gets past the check.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum

# RFC 3461 4.4 and 4.2, with the type of the address.
MAX_ENVID = 100
MAX_ORCPT = 500

NEVER = "NEVER"
SUCCESS, FAILURE, DELAY = "SUCCESS", "FAILURE", "DELAY"
_KEYWORDS = (SUCCESS, FAILURE, DELAY)

# RFC 3461 4: `+` and two hexadecimal digits in upper case.
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})+")
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_NOT_XCHAR = re.compile(r"[^!-*,-<>-~]")
_ORCPT = re.compile(r"([A-Za-z0-9!#$%&'*/?^_`{|}~.-]{1,40});([^;].*)")
# RFC 6533 3: the two ways to write an address outside ASCII.
_HEXPOINT = r"\\x\{(?:0[1-9]|[1-9A-F][0-9A-F]{1,5}|10[0-9A-F]{4})\}"
_UTF8_XTEXT = re.compile(rf"(?:[!-*,-<>-\[\]-~]|{_HEXPOINT})+")
_UTF8_UNITEXT = re.compile(rf"(?:[!-*,-<>-\[\]-~\x80-\U0010ffff]|{_HEXPOINT})+")
_POINT = re.compile(r"\\x\{([0-9A-F]+)\}")
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Action(StrEnum):
    """RFC 3464 2.3.3: what a report says of a recipient."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


_KEYWORD_OF = {Action.FAILED: FAILURE, Action.DELAYED: DELAY}


@dataclass(frozen=True, slots=True)
class Wish:
    """What the sender wants to hear about one forward-path.

    Both are as RCPT gave them, "" when it did not: `SUCCESS,FAILURE` or
    `NEVER`; `rfc822;sam@example.org`.
    """

    notify: str = ""
    orcpt: str = ""

    def asks_for(self, action: Action) -> bool:
        """Whether the sender asked for such a report in so many words."""
        return _KEYWORD_OF.get(action, SUCCESS) in self.notify.split(",")

    def allows(self, action: Action) -> bool:
        """Whether such a report may be sent; unasked, only a failure is told."""
        if self.notify:
            return self.asks_for(action)
        return action is Action.FAILED

    def without_success(self) -> Wish:
        """The wish as it goes on when success is reported here (RFC 3461 5.2.7.3)."""
        if not self.asks_for(Action.DELIVERED):
            return self
        rest = [word for word in self.notify.split(",") if word != SUCCESS]
        # Nothing left is not the same as nothing said.
        return replace(self, notify=",".join(rest) or NEVER)


NO_WISH = Wish()


@dataclass(frozen=True, slots=True)
class Request:
    """What one transaction asks of a server that announces DSN."""

    # FULL, HDRS or "", and the xtext of ENVID or "".
    ret: str = ""
    envid: str = ""
    wish: Wish = NO_WISH

    @property
    def of_mail(self) -> str:
        """The parameters of MAIL, a space before each."""
        ret = f" RET={self.ret}" if self.ret else ""
        return ret + (f" ENVID={self.envid}" if self.envid else "")

    def of_rcpt(self, *, utf8: bool) -> str:
        """Those of RCPT; ORCPT in ASCII unless SMTPUTF8 is asked for."""
        notify, orcpt = self.wish.notify, self.wish.orcpt
        if not utf8:
            orcpt = ascii_orcpt(orcpt)
        text = f" NOTIFY={notify}" if notify else ""
        return text + (f" ORCPT={orcpt}" if orcpt else "")


NO_REQUEST = Request()


def notify(value: str) -> str | None:
    """NOTIFY in its one spelling, or None for what it is not (RFC 3461 4.1)."""
    words = value.upper().split(",")
    if words == [NEVER]:
        return NEVER
    if not set(words) <= set(_KEYWORDS):
        return None
    return ",".join(word for word in _KEYWORDS if word in words)


def is_envid(value: str) -> bool:
    """Whether it is xtext of at most 100 printable characters (RFC 3461 4.4)."""
    return len(value) <= MAX_ENVID and _is_printable_xtext(value)


def is_orcpt(value: str, *, utf8: bool) -> bool:
    """Whether it is an address with its type (RFC 3461 4.2, RFC 6533 3).

    Characters outside ASCII only in the type `utf-8`, and only where the
    client asked for SMTPUTF8.
    """
    match = _ORCPT.fullmatch(value)
    if match is None or len(value.encode()) > MAX_ORCPT:
        return False
    kind, address = match.groups()
    if kind.lower() != "utf-8":
        return _is_printable_xtext(address)
    form = _UTF8_UNITEXT if utf8 else _UTF8_XTEXT
    return bool(form.fullmatch(address)) and not _UNSEEN.search(_points(address))


def is_xtext(value: str) -> bool:
    """Whether it is xtext (RFC 3461 4)."""
    return bool(_XTEXT.fullmatch(value))


def decode(xtext: str) -> str:
    """The text behind xtext; what cannot be shown becomes `?`."""
    text = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), xtext)
    return "".join(c if " " <= c <= "~" else "?" for c in text)


def encode(text: str) -> str:
    """Printable ASCII as xtext."""
    return _NOT_XCHAR.sub(lambda match: f"+{ord(match[0]):02X}", text)


def original(orcpt: str) -> tuple[str, str]:
    """The type and the address that ORCPT names, ("", "") for none."""
    kind, _, address = orcpt.partition(";")
    if kind.lower() == "utf-8":
        return "utf-8", _UNSEEN.sub("?", _points(address))
    return kind, decode(address)


def typed(mailbox: str, *, utf8: bool) -> str:
    """`rfc822; x@y` for a report, or `utf-8; ...` outside ASCII (RFC 6533 3).

    Without utf8 it is ASCII whatever the mailbox is.
    """
    if mailbox.isascii():
        return f"rfc822; {mailbox}"
    return f"utf-8; {mailbox if utf8 else _in_ascii(mailbox)}"


def orcpt_of(mailbox: str) -> str:
    """ORCPT for a forward-path that came without one (RFC 3461 5.2.1)."""
    if mailbox.isascii():
        return f"rfc822;{encode(mailbox)}"
    return f"utf-8;{_in_ascii(mailbox)}"


def ascii_orcpt(orcpt: str) -> str:
    """The same for a server that is not asked for SMTPUTF8."""
    kind, _, address = orcpt.partition(";")
    return orcpt if orcpt.isascii() else f"{kind};{_in_ascii(_points(address))}"


def _in_ascii(text: str) -> str:
    """RFC 6533 3: utf-8-addr-xtext."""
    return _NOT_QCHAR.sub(lambda match: rf"\x{{{ord(match[0]):02X}}}", text)


def _points(text: str) -> str:
    return _POINT.sub(lambda match: chr(min(int(match[1], 16), 0x10FFFF)), text)


def _is_printable_xtext(value: str) -> bool:
    codes = [int(pair, 16) for pair in _HEXCHAR.findall(value)]
    return is_xtext(value) and all(0x20 <= code <= 0x7E for code in codes)
