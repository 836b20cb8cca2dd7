"""Paths of an SMTP envelope, parsed from bytes by RFC 5321 4.1.2 and nothing else.

No comments, no folding, no encoded words: what a mail header may say is not
what an envelope may say, and every difference between two parsers is a hole.
What comes out has no control characters, fits the limits of RFC 5321 4.5.3.1,
and reads back as itself: `mailbox(str(path)) == path`.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass

from smtpd import replies
from smtpd.replies import Reply

LOCAL_PART_OCTETS = 64
DOMAIN_OCTETS = 255
PATH_OCTETS = 256
LABEL_OCTETS = 63

# RFC 5321 4.1.2 Atom and quoted-string, with UTF-8 as RFC 6531 3.3 adds it.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")
_QUOTED = re.compile(
    r'"((?:[\x20\x21\x23-\x5b\x5d-\x7e\x80-\U0010ffff]|\\[\x20-\x7e])*)"'
)
_ESCAPED = re.compile(r"\\(.)")
_NEEDS_ESCAPE = re.compile(r'(["\\])')
# Up to where a domain may reach; label() looks at what is between the dots.
_NAME = r"[A-Za-z0-9.\x80-\U0010ffff-]+"
_BRACKETS = r"\[[^\[\]\\\s]*\]"
_DOMAIN = re.compile(_NAME)
_LITERAL = re.compile(_BRACKETS)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
# RFC 5321 4.1.1.3 and F.2: a source route is accepted and ignored.
_HOP = rf"@(?:{_NAME}|{_BRACKETS})"
_ROUTE = re.compile(rf"{_HOP}(?:,{_HOP})*:")
_POSTMASTER = re.compile(r"postmaster(?=>)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class BadPath(ValueError):
    """Not a path we take; `reply` says why to the one who sent it."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Path:
    """A mailbox of an envelope, or the null path.

    `local_part` is unquoted. `domain` is a lower-case A-label name or an
    address literal with its brackets, and empty for a bare <postmaster>.
    """

    local_part: str
    domain: str

    def __str__(self) -> str:
        """Return the mailbox as it goes over the wire, "" for the null path."""
        if self.is_null:
            return ""
        local_part = self.local_part
        if not _DOT_STRING.fullmatch(local_part):
            escaped = _NEEDS_ESCAPE.sub(r"\\\1", local_part)
            local_part = f'"{escaped}"'
        return f"{local_part}@{self.domain}" if self.domain else local_part

    @property
    def is_null(self) -> bool:
        """Whether it is `<>`: nobody wants to hear back (RFC 5321 4.5.5)."""
        return not self.local_part and not self.domain

    @property
    def is_utf8(self) -> bool:
        """Whether the next hop needs SMTPUTF8 for it."""
        return not self.local_part.isascii()


NULL = Path("", "")


def reverse_path(text: bytes, *, utf8: bool) -> tuple[Path, bytes]:
    """Parse what follows `MAIL FROM:` into the path and the parameters."""
    if text.startswith(b"<>"):
        return NULL, text[2:]
    return _Parser(text, utf8, replies.BAD_SENDER, replies.SENDER_NOT_ALLOWED).path()


def forward_path(text: bytes, *, utf8: bool) -> tuple[Path, bytes]:
    """Parse what follows `RCPT TO:` into the path and the parameters.

    A bare <postmaster> in any case has no domain (RFC 5321 4.5.1).
    """
    return _Parser(
        text, utf8, replies.BAD_RECIPIENT, replies.RECIPIENT_NOT_ALLOWED
    ).path(postmaster=True)


def mailbox(text: str) -> Path:
    """Parse `local@domain` as a person types it or a row holds it."""
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise BadPath(replies.BAD_RECIPIENT) from None
    path, rest = _Parser(
        b"<" + raw + b">", True, replies.BAD_RECIPIENT, replies.RECIPIENT_NOT_ALLOWED
    ).path(route=False)
    if rest:
        raise BadPath(replies.BAD_RECIPIENT)
    return path


def _is_invisible(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "C" or category in ("Zl", "Zp")


class _Parser:
    """One path; reads from left to right and never goes back."""

    def __init__(self, text: bytes, utf8: bool, bad: Reply, forbidden: Reply) -> None:
        self.bad = bad
        self.forbidden = forbidden
        self.utf8 = utf8
        self.at = 0
        try:
            self.text = text.decode()
        except UnicodeDecodeError:
            raise BadPath(replies.NEEDS_SMTPUTF8 if not utf8 else forbidden) from None

    def path(
        self, *, postmaster: bool = False, route: bool = True
    ) -> tuple[Path, bytes]:
        """Return the path between angle brackets and the octets behind it."""
        self.expect("<")
        if route:
            self.take(_ROUTE)
        start = self.at
        if postmaster and (match := self.take(_POSTMASTER)):
            path = Path(match.group().lower(), "")
        else:
            local_part = self.local_part()
            self.expect("@")
            path = Path(local_part, self.domain())
        octets = len(self.text[start : self.at].encode())
        self.expect(">")
        # RFC 5321 4.5.3.1.3 counts the brackets.
        if max(octets, len(str(path).encode())) + 2 > PATH_OCTETS:
            raise BadPath(self.bad)
        return path, self.text[self.at :].encode()

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Step over what the pattern matches here, if it does."""
        if match := pattern.match(self.text, self.at):
            self.at = match.end()
        return match

    def expect(self, character: str) -> None:
        """Step over this character or refuse."""
        if not self.text.startswith(character, self.at):
            raise BadPath(self.reason())
        self.at += 1

    def reason(self) -> Reply:
        """Say why the text cannot be read on from here."""
        here = self.text[self.at : self.at + 1]
        return self.forbidden if _CONTROL.match(here) else self.bad

    def local_part(self) -> str:
        """Read a dot-string or a quoted string, and unquote it."""
        if match := self.take(_DOT_STRING):
            local_part = match.group()
        elif match := self.take(_QUOTED):
            local_part = _ESCAPED.sub(r"\1", match.group(1))
        else:
            raise BadPath(self.quoted_reason())
        if not local_part.isascii():
            local_part = self.internationalised(local_part)
        if not local_part or len(local_part.encode()) > LOCAL_PART_OCTETS:
            raise BadPath(self.bad)
        return local_part

    def quoted_reason(self) -> Reply:
        """Say why there is no local part here."""
        rest = self.text[self.at :].partition(">")[0]
        return self.forbidden if _CONTROL.search(rest) else self.bad

    def internationalised(self, text: str) -> str:
        """Return it as NFC (RFC 6532 3.1), if the client asked for UTF-8."""
        if not self.utf8:
            raise BadPath(replies.NEEDS_SMTPUTF8)
        # Controls, line separators and private characters name nobody.
        if any(_is_invisible(character) for character in text):
            raise BadPath(self.forbidden)
        return unicodedata.normalize("NFC", text)

    def domain(self) -> str:
        """Read a domain name or an address literal."""
        if match := self.take(_LITERAL):
            return self.literal(match.group()[1:-1])
        match = self.take(_DOMAIN)
        if match is None:
            raise BadPath(self.reason())
        if not match.group().isascii() and not self.utf8:
            raise BadPath(replies.NEEDS_SMTPUTF8)
        domain = ".".join(self.label(label) for label in match.group().split("."))
        if len(domain) > DOMAIN_OCTETS:
            raise BadPath(self.bad)
        return domain

    def label(self, label: str) -> str:
        """Return one label of a domain name in lower-case ASCII.

        Python's own IDNA codec follows the 2003 rules and turns one domain
        into another (`ß` into `ss`); RFC 5891 4.4 is Punycode of NFC.
        """
        if not label.isascii():
            text = unicodedata.normalize("NFKC", label).lower()
            text = unicodedata.normalize("NFC", text)
            # Letters, marks and digits: RFC 5892 without its exceptions.
            if not all(c == "-" or unicodedata.category(c)[0] in "LMN" for c in text):
                raise BadPath(self.forbidden)
            label = text
            if not label.isascii():
                label = "xn--" + label.encode("punycode").decode("ascii")
        label = label.lower()
        if len(label) > LABEL_OCTETS or not _LABEL.fullmatch(label):
            raise BadPath(self.bad)
        return label

    def literal(self, text: str) -> str:
        """Return an IPv4 or IPv6 address literal in its canonical form."""
        tag, colon, address = text.partition(":")
        try:
            if colon and tag.lower() == "ipv6":
                # A scope names an interface of the client: not ours to know.
                if "%" in address:
                    raise BadPath(self.bad)
                return f"[IPv6:{ipaddress.IPv6Address(address)}]"
            return f"[{ipaddress.IPv4Address(text)}]"
        except ipaddress.AddressValueError:
            raise BadPath(self.bad) from None
