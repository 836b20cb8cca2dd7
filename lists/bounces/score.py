"""Whose fault a refusal is, and when it is time to stop sending.

Pure. Classes follow the enhanced code (RFC 3463) where it says something, then
the words, then the plain code.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

HARD = "hard"
SOFT = "soft"
POLICY = "policy"

# Half points.
POINTS = {HARD: 2, SOFT: 1}
# After a week without a bounce the address has proven itself.
STALE = timedelta(days=7)

_POLICY = re.compile(
    r"spam|black ?-?list|block ?-?list|blocked|rbl\b|dnsbl|spamhaus|barracuda"
    r"|reputation|dmarc|\bspf\b|dkim|polic(?:y|ies)|unsolicited|virus|malware"
    r"|phish|content (?:rejected|filter)|message (?:rejected|content|too large)"
    r"|too (?:large|big)|size limit|(?:maximum|inbound) message size"
    r"|banned|not authenticated"
    r"|authenticat|rate limit|too many|throttl|greylist|grey-list|try again later"
    r"|bulk mail|sender (?:denied|rejected|not)|relay(?:ing)? (?:denied|not)"
    r"|not permitted to relay",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(
    r"(?:user|recipient|mailbox|address|account|person)[^.]{0,40}?"
    r"(?:unknown|not (?:found|exist|known|listed|valid)|does ?n.t (?:exist|have)"
    r"|does not (?:exist|have)|invalid|inactive|disabled|no longer|unavailable)"
    r"|(?:no such|unknown|invalid|nonexistent|non-existent) "
    r"(?:user|recipient|mailbox|address|account|person|local|domain|host)"
    r"|host (?:unknown|not found)|name or domain|no mailbox|not our customer",
    re.IGNORECASE,
)
_FULL = re.compile(r"full|quota|over ?-?limit|insufficient|storage", re.IGNORECASE)

# RFC 3463, RFC 7505 (5.1.10) and RFC 7293 (5.7.17, .18: somebody else has the
# mailbox now).
_BY_CODE = {
    "1.0": "",
    "1.7": POLICY,
    "1.8": POLICY,
    "1.9": POLICY,
    "2.1": SOFT,
    "2.2": SOFT,
    "2.3": POLICY,
    "2.4": SOFT,
    "3.0": "",
    "3.4": POLICY,
    "4.1": "",
    "4.4": HARD,
    "7.17": HARD,
    "7.18": HARD,
}
_BY_SUBJECT = {"1": HARD, "2": "", "3": POLICY, "4": SOFT, "5": POLICY, "6": POLICY}
_BY_REPLY = {551: HARD, 552: SOFT, 553: HARD, 554: POLICY, 521: HARD, 556: HARD}


def classify(code: int | None, enhanced: str, text: str) -> str:
    """Return HARD, SOFT or POLICY for what the other server said last.

    `code` None means it said nothing: the network, or nobody was there.
    """
    family, _, detail = enhanced.partition(".")
    if family == "4" or (not family and (code is None or code < 500)):
        return POLICY if detail.startswith("7.") or _is_policy(text) else SOFT
    if detail.startswith("7.") and detail not in _BY_CODE:
        return POLICY
    by_code = _BY_CODE.get(detail, _BY_SUBJECT.get(detail.partition(".")[0], ""))
    return by_code or _by_words(text) or _by_reply(code)


def _is_policy(text: str) -> bool:
    return bool(_POLICY.search(text)) and not _FULL.search(text)


def _by_words(text: str) -> str:
    if _UNKNOWN.search(text):
        return HARD
    if _POLICY.search(text):
        return POLICY
    return SOFT if _FULL.search(text) else ""


def _by_reply(code: int | None) -> str:
    """Protocol trouble (50x) is ours; any other refusal is the address's."""
    if code is not None and 500 <= code <= 504:
        return POLICY
    return _BY_REPLY.get(code or 0, HARD)


def count(
    score: int, last: date | None, kind: str, today: date
) -> tuple[int, date | None]:
    """Return the new score and the day it was last raised.

    Once a day at most, from zero again after a week of silence; what is not
    the member's fault changes nothing.
    """
    points = POINTS.get(kind, 0)
    if not points or last == today:
        return score, last
    if last is not None and today - last > STALE:
        score = 0
    return score + points, today
