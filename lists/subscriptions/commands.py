"""What mail to -join, -leave and -request wants, and whether a machine wrote it.

Pure: header facts and bytes in, a command out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from enum import StrEnum

from smtpd.facts import Facts

# A command is one line; nobody needs more than this to write it.
MAX_SIZE = 64 * 1024
MAX_LINES = 5
MAX_WORDS = 4


class Word(StrEnum):
    """Everything that can be asked for by mail."""

    JOIN = "join"
    LEAVE = "leave"
    CONFIRM = "confirm"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Command:
    """One wish. `token` is only of a confirmation."""

    word: Word
    token: str = ""


WORDS = {
    "join": Word.JOIN,
    "subscribe": Word.JOIN,
    "leave": Word.LEAVE,
    "unsubscribe": Word.LEAVE,
    "signoff": Word.LEAVE,
    "confirm": Word.CONFIRM,
    "help": Word.HELP,
    "info": Word.HELP,
}
_ANSWER = re.compile(r"^(?:(?:re|aw|sv|antw|fwd?|wg)\s*:\s*)+", re.IGNORECASE)
# Automatic answers that say so nowhere but in their subject.
_VACATION = re.compile(
    r"(?:auto(?:matic)?[ -]?(?:reply|response)|out of (?:the )?office|abwesen"
    r"|vacation|r.ponse automatique|respuesta autom|undeliver|delivery status"
    r"|returned mail|mail delivery)",
    re.IGNORECASE,
)


def is_automatic(facts: Facts) -> bool:
    """Whether a machine wrote it: then it is never answered (RFC 3834 2)."""
    if not facts.reverse_path:
        return True
    auto = facts.first("auto-submitted").partition(b";")[0].strip().lower()
    if auto not in (b"", b"no"):
        return True
    if facts.first("precedence").strip().lower() in (b"bulk", b"junk", b"list"):
        return True
    if any(_marks_a_machine(field.name) for field in facts.fields):
        return True
    return bool(_VACATION.match(_ANSWER.sub("", facts.subject)))


def _marks_a_machine(name: str) -> bool:
    return name.startswith("list-") or name in (
        "x-auto-response-suppress",
        "x-autoreply",
        "x-autorespond",
        "x-failed-recipients",
        "feedback-id",
    )


def read(kind: str, subject: str, raw: bytes) -> Command:
    """Read what is wanted of the sub-address `kind`.

    -join and -leave say it themselves. At -request the subject or one of the
    first lines does; what cannot be understood is a call for help.
    """
    if kind != "request" and kind in WORDS:
        return Command(WORDS[kind])
    for line in (subject, *_first_lines(raw)):
        command = _command(line)
        if command:
            return command
    return Command(Word.HELP)


def _command(line: str) -> Command | None:
    """The command a line is, or None for prose."""
    words = _ANSWER.sub("", line.strip()).split()
    if not 0 < len(words) <= MAX_WORDS:
        return None
    word = WORDS.get(words[0].lower().strip(".,:;!"))
    if word is Word.CONFIRM:
        return Command(word, words[1]) if len(words) > 1 else None
    # `join address=...`: for another person nobody can ask by mail.
    if word and any("@" in rest or "=" in rest for rest in words[1:]):
        return Command(Word.HELP)
    return Command(word) if word else None


def _first_lines(raw: bytes) -> list[str]:
    """The first lines a person wrote, without what they quote."""
    if len(raw) > MAX_SIZE:
        return []
    try:
        text = _text(message_from_bytes(raw))
    except (RecursionError, LookupError, ValueError):
        return []
    lines = (line.strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith(">")][:MAX_LINES]


def _text(message: Message) -> str:
    """The first text/plain part, decoded."""
    for part in message.walk():
        if part.get_content_type() == "text/plain":
            payload = part.get_payload(decode=True)
            charset = part.get_content_charset("utf-8")
            if isinstance(payload, bytes):
                return payload.decode(charset, "replace")
    return ""
