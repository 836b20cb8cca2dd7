"""What a door may know of a message before it judges: header fields only.

MIME bodies are not looked at while the sender is connected.
"""

from __future__ import annotations

from dataclasses import dataclass

from smtpd import fields
from smtpd.fields import Field


@dataclass(frozen=True, slots=True)
class Facts:
    """The header section, read once, and what the envelope adds to it."""

    fields: tuple[Field, ...]
    # Octets, whole message.
    size: int
    body_at: int
    # As MAIL gave it; empty for the null path.
    reverse_path: str
    # The addresses of From, in order. Not authenticated.
    authors: tuple[str, ...]
    author_name: str
    subject: str
    # With its angle brackets; empty when there is none.
    msg_id: str

    def all(self, name: str) -> list[bytes]:
        """The values of every field of this name, unfolded."""
        return [field.value for field in self.fields if field.name == name.lower()]

    def first(self, name: str) -> bytes:
        """The first such value, or nothing."""
        return next(iter(self.all(name)), b"")


def read(raw: bytes, *, reverse_path: str) -> Facts:
    """Read the facts of a message; raise fields.TooMany for a monstrous header."""
    found, body_at = fields.split(raw)
    values: dict[str, bytes] = {}
    for field in found:
        values.setdefault(field.name, field.value)
    people = [
        person
        for field in found
        if field.name == "from"
        for person in fields.mailboxes(field.value)
    ]
    return Facts(
        fields=found,
        size=len(raw),
        body_at=body_at,
        reverse_path=reverse_path,
        authors=tuple(address for _, address in people),
        author_name=people[0][0][:200] if people else "",
        subject=fields.text(values.get("subject", b"")),
        msg_id=fields.text(values.get("message-id", b""))[:998],
    )
