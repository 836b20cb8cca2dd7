"""What a returned mail says: RFC 3464 first, then RFC 5965, then heuristics.

Pure and bounded. Only ever called for mail to a valid bounce token, which names
the delivery; so nothing here looks for the recipient, and a mail that is not
understood harms nobody.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from email.message import Message
from enum import Enum

from flufl.bounce import all_failures

# A report comes first and is short; what it returns of our own mail is not
# needed. The detectors take a second for what is left of hostile mail.
MAX_SIZE = 64 * 1024
MAX_PARTS = 40
MAX_DEPTH = 4
MAX_BLOCKS = 100
TEXT_LENGTH = 500
# RFC 3464 2.3.3, without `failed`.
NOT_FAILED = frozenset({"delayed", "delivered", "relayed", "expanded"})

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
_CODE = re.compile(r"(?<![\d.-])([45]\d\d)(?=[\s-](?:[45]\.\d|\D)|$)")
_NUMBERS = re.compile(r"^[245]\d\d(?:[ -]#?[245]\.\d{1,3}\.\d{1,3})?[ :-]+")
# What a report quotes of our own mail says nothing about the refusal.
_QUOTED = re.compile(r"^[\s>]*(?:subject|to|from|cc|date|sent):.*$", re.I | re.M)
_SPACE = re.compile(r"[\x00-\x20\x7f]+")

# flufl.bounce logs each detector it tries, and as errors those that stumble over
# a stranger's mail; neither is an error of ours.
logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)


class Outcome(Enum):
    """What a returned mail means for its delivery."""

    # It will not arrive.
    FAILED = "failed"
    # Still being tried, or passed on: nothing has happened yet.
    PENDING = "pending"
    # It arrived, and the recipient calls it spam.
    COMPLAINT = "complaint"
    # Not a report: a vacation notice, an answer by hand, spam.
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Report:
    """One reading; code, enhanced and text are of the server that refused."""

    outcome: Outcome
    code: int | None = None
    enhanced: str = ""
    text: str = ""

    @property
    def words(self) -> str:
        """The text without the codes in front of it: those are known."""
        return _NUMBERS.sub("", self.text)


NO_REPORT = Report(Outcome.NONE)


def read(raw: bytes) -> Report:
    """Read a returned mail; whatever cannot be read is no report."""
    try:
        message = message_from_bytes(raw[:MAX_SIZE])
        for way in (_delivery_status, _feedback, _heuristics):
            report = way(message)
            if report:
                return report
    except (RecursionError, ValueError, LookupError, AttributeError, TypeError):
        # The email package and the detectors fail in their own ways on mail
        # that is broken on purpose.
        return NO_REPORT
    return NO_REPORT


# --- RFC 3464 ---------------------------------------------------------------


def _delivery_status(message: Message) -> Report | None:
    """The worst fate among the recipients of a delivery status (RFC 3464 2.3)."""
    part = _find(message, "message/delivery-status", "message/global-delivery-status")
    if part is None:
        return None
    reports = [_recipient(block) for block in _blocks(part)]
    failed = [report for report in reports if report.outcome is Outcome.FAILED]
    others = [report for report in reports if report.outcome is Outcome.PENDING]
    return next(iter([*failed, *others]), None)


def _recipient(block: Message) -> Report:
    """The fields of one recipient; a block without Action and Status is none."""
    action = str(block.get("Action", "")).partition(";")[0].strip().lower()
    status = _first(_STATUS, str(block.get("Status", "")))
    text = _clean(_diagnostic(block) or str(block.get("Status", "")))
    if not action and not status:
        return NO_REPORT
    # Some say that it failed in the status alone, or in a word of their own.
    is_failed = action not in NOT_FAILED and status.startswith("5")
    if not (action.startswith("fail") or is_failed):
        return Report(Outcome.PENDING, None, status, text)
    # Status may be generic where the reply itself is not.
    said = _first(_STATUS, text)
    if said and (not status or status.endswith(".0.0")):
        status = said
    code = _first(_CODE, text)
    return Report(Outcome.FAILED, int(code) if code else None, status or "5.0.0", text)


def _diagnostic(block: Message) -> str:
    """RFC 3464 2.3.6: `smtp; 550 5.1.1 ...`, the type left out."""
    value = str(block.get("Diagnostic-Code", ""))
    kind, semicolon, rest = value.partition(";")
    return rest if semicolon and " " not in kind.strip() else value


def _blocks(part: Message) -> Iterator[Message]:
    """The field blocks: as the email package cut them, or cut here."""
    payload = part.get_payload()
    if isinstance(payload, list) and len(payload) > 1:
        for block in payload[:MAX_BLOCKS]:
            if isinstance(block, Message):
                yield block
        return
    text = "".join(map(str, payload)) if isinstance(payload, list) else str(payload)
    for lines in re.split(r"\r?\n[ \t]*\r?\n", text.strip())[:MAX_BLOCKS]:
        yield message_from_string(lines.lstrip() + "\n\n")


# --- RFC 5965 ---------------------------------------------------------------


def _feedback(message: Message) -> Report | None:
    """A complaint by the recipient; other feedback is no fate of a delivery."""
    part = _find(message, "message/feedback-report")
    if part is None:
        return None
    block = next(_blocks(part), Message())
    kind = str(block.get("Feedback-Type", "")).strip().lower()
    if kind not in ("abuse", "fraud", "opt-out", "opt-out-list", "other"):
        return NO_REPORT
    agent = _clean(str(block.get("User-Agent", "")))
    return Report(Outcome.COMPLAINT, text=_clean(f"{kind} report {agent}"))


# --- everything else --------------------------------------------------------


def _heuristics(message: Message) -> Report | None:
    """flufl.bounce's detectors, for servers that follow no standard."""
    if _is_receipt(message) or _has_too_many_parts(message):
        return None
    if "From" not in message:
        # One of the detectors needs it.
        message["From"] = "nobody"
    temporary, permanent = all_failures(message)
    if permanent:
        text = _first_text(message)
        code, enhanced = _first(_CODE, text), _first(_STATUS, text)
        return Report(
            Outcome.FAILED,
            int(code) if code else None,
            enhanced if enhanced.startswith("5") else "5.0.0",
            _around(text, code or enhanced),
        )
    return Report(Outcome.PENDING) if temporary else None


def _is_receipt(message: Message) -> bool:
    """Whether somebody's program says that they read it (RFC 8098 3.2.6).

    `deleted` is how some servers say that they refused it.
    """
    part = _find(message, "message/disposition-notification")
    if part is None:
        return False
    block = next(_blocks(part), Message())
    return (
        not str(block.get("Disposition", ""))
        .rpartition(";")[2]
        .strip()
        .startswith("deleted")
    )


def _has_too_many_parts(message: Message) -> bool:
    """Whether anything in it has more parts or blocks than a server writes."""
    payloads = (part.get_payload() for part in _parts(message))
    return any(
        isinstance(inner, list) and len(inner) > MAX_BLOCKS for inner in payloads
    )


def _first_text(message: Message) -> str:
    """The first words for people, decoded, within our limits."""
    for part in _parts(message):
        payload = part.get_payload(decode=True)
        if part.get_content_maintype() == "text" and isinstance(payload, bytes):
            text = payload[: 16 * 1024].decode("utf-8", "replace")
            return _QUOTED.sub("", text)
    return ""


def _around(text: str, found: str) -> str:
    """The sentence in which the code stands, else the beginning."""
    at = max(0, text.find(found)) if found else 0
    return _clean(text[at : at + TEXT_LENGTH])


# --- parts ------------------------------------------------------------------


def _find(message: Message, *types: str) -> Message | None:
    return next(
        (part for part in _parts(message) if part.get_content_type() in types), None
    )


def _parts(message: Message, depth: int = 0) -> Iterator[Message]:
    """The parts of a report, not those of the mail it returns.

    That one may be a report itself.
    """
    yield message
    payload = message.get_payload()
    is_report = message.get_content_maintype() == "multipart"
    if is_report and isinstance(payload, list) and depth < MAX_DEPTH:
        for part in payload[:MAX_PARTS]:
            if isinstance(part, Message):
                yield from _parts(part, depth + 1)


def _first(pattern: re.Pattern[str], text: str) -> str:
    match = pattern.search(text)
    return match[1] if match else ""


def _clean(text: str) -> str:
    return _SPACE.sub(" ", text).strip()[:TEXT_LENGTH]
