"""What other servers write when they refuse: patterns, the first that fits counts.

Pure data. tests/smtpd/refusals.py has the replies they were made from; add the
reply there first, then the words here.
"""

from __future__ import annotations

import re
from typing import Final

Wordings = tuple[tuple[str, re.Pattern[str]], ...]


def _wordings(*rows: tuple[str, str]) -> Wordings:
    return tuple(
        (failure, re.compile(pattern, re.IGNORECASE | re.VERBOSE))
        for failure, pattern in rows
    )


_ADDRESS = r"\[?(?:\d{1,3}\.){3}\d{1,3}\]?"
_WHO = r"(?:user|recipient|mailbox|address|account|person|inbox|customer|subscriber)"

# Believed whatever the codes say.
ABOUT_US: Final = _wordings(
    # One mailbox, or we, bring too much at once.
    (
        "rate",
        r"""gr[ea]y.?list | (?:mail|messages)\ too\ quickly | at\ a\ rate\ that
        | rate.?limit | throttl | slow\ down | not\ yet\ authorized\ to\ deliver
        | too\ many\ (?:\w+\ )?(?:connections|sessions|messages|mails)
        | too\ many\ recipients\ received | too\ much\ mail\ from
        | unexpected\ volume | unusual\ rate | exceeded\ the\ max\ emails
        | (?:daily|hourly)\ (?:\w+\ )*(?:limit|quota)
        | concurrent\ connections | thread\ limit\ exceeded
        | server\ busy""",
    ),
    # Our address is on somebody's list.
    (
        "blocked",
        rf"""spamhaus | spamcop | barracuda(?:central|networks|\ reputation) | \bsorbs\b
        | dnsbl | \brbl\b | (?:block|black|deny).?list(?:ed)?\b
        | \bblocked\ (?:using|by\ \S+\.\S+\.) | ipcheck\.proofpoint
        | client\ host\ (?:\S+\ )?(?:blocked|rejected)
        | listed\ (?:at|in|on|by)\b
        | {_ADDRESS}.{{0,60}}(?:blocked|banned|is_blocked|rejected|denied)
        | (?:messages|connections|mail|traffic)\ (?:\w+\ )*from\ (?:ip\ )?{_ADDRESS}
        | banned\ sending\ ip | bad\ outbound\ sender | permanently\ deferred
        | from\ this\ ip\b | spams\ from\ your\ ip | sending\ from\ unregistered\ domain
        | ^ip={_ADDRESS}""",
    ),
    # We have a bad name, or none.
    (
        "blocked",
        r"""(?:poor|bad|low)\ reputation | reputation\ of\ the\ sending
        | (?:reverse|ptr)\ (?:dns|hostname|record|resource) | \bdns\ ptr\b
        | reverse\ hostname | cannot\ find\ your\ hostname
        | (?:invalid|bad)\ helo | helo\ (?:command|name).{0,20}(?:rejected|invalid)
        | \b(?:SC|DY|OU|RP)-00\d\b | \(S3\d{3}\) | \[BL\d+\]""",
    ),
    # To them we are nobody they carry mail for.
    (
        "blocked",
        r"""relay(?:ing)?\ (?:access\ )?
          (?:denied|prohibited|not\ permitted|not\ allowed)
        | (?:not\ permitted|unable|not\ allowed)\ to\ relay | tenantattribution
        | allowed\ rcpthosts | relaying\ disallowed
        | ^(?:smtp\ )?authentication\ (?:is\ )?required | must\ issue\ a\ starttls
        | client\ (?:was\ )?not\ authenticated""",
    ),
)

# Asked where the enhanced code says nothing, or is used for anything.
WORDINGS: Final = _wordings(
    (
        "auth",
        r"""dmarc | dkim | \bspf\b | sender\ policy\ framework | sender\ id\b
        | unauthenticated | required\ authentication\ level
        | (?:sender|originat\w+)\ (?:address\ )?
          (?:verify|verification|rejected:\ domain)
        | invalid\ dns\ mx | domain\ of\ sender\ address | sender\ domain""",
    ),
    (
        "policy",
        r"""sender\ (?:denied|not|(?:address\ )?rejected)\b | blocked\ senders
        | only\ accepts?\ mail | recipsizelimit | restricted\ to\ certain""",
    ),
    (
        "disabled",
        rf"""{_WHO}\b[^.]{{0,50}}?\b(?:disabled|inactive|suspended|deactivated|locked
        | expired|blocked\ by\ admin|closed|temporarily\ unavailable
        | over\ a\ year|not\ active)
        | (?:disabled|inactive|deactivated|suspended)\ {_WHO}""",
    ),
    (
        "full",
        rf"""over\ ?-?quota | quota\ (?:exceeded|is\ full|violation)
        | exceed\w*\ .{{0,20}}quota
        | {_WHO}\b[^.]{{0,40}}?\b(?:full|over\ ?-?limit)
        | {_WHO}\b.{{0,40}}\bout\ of\ (?:storage|disk)
        | exceeded\ storage\ allocation | quotaexceeded | storage\ full
        | insufficient\ (?:mailbox\ )?(?:disk\ )?(?:space|storage)\ for""",
    ),
    (
        "unknown",
        rf"""{_WHO}\b[^.]{{0,60}}?\b
          (?:unknown|not\ (?:found|exist|known|listed|valid|here)
        | undeliverable | does\ ?n[.'o]t\ (?:exist|have) | does\ not\ (?:exist|have)
        | do\ not\ exist | invalid | no\ longer | unavailable | not\ a\ valid)
        | (?:no\ such|unknown|invalid|non-?existent|bad)\ (?:\w+\ )?
          (?:{_WHO}|user|local|domain|host|destination)
        | host\ (?:unknown|not\ found) | name\ or\ domain | no\ mailbox
        | not\ (?:our|a)\ customer | mailbox\ not\ found | recip\w*notfound
        | unrouteable | unroutable | does\ not\ like\ recipient
        | recipient\ address\ rejected:?\ access | \#5\.1\.0\ address\ rejected
        | (?:n[o']t|not)\ (?:an?\ )?(?:\S+\ )?account""",
    ),
    (
        "size",
        r"""too\ (?:large|big) | size\ limit | message\ size
        | maximum\ (?:message\ |fixed\ )?size | exceeds\ .{0,30}size""",
    ),
    (
        "network",
        r"""temporary\ (?:local|system|server)\ (?:problem|error|failure)
        | internal\ (?:server\ )?error | out\ of\ memory
        | message\ expired | connection\ (?:refused|timed\ out)
        | hop\ count | mail\ loop | too\ many\ hops""",
    ),
    (
        "policy",
        r"""spam | virus | malware | phish | polic(?:y|ies) | unsolicited | \bcontent\b
        | prohibit | message\ rejected | rejet | suspicio | \bbulk\b | not\ accepted
        | security | blocked | banned | denied""",
    ),
    (
        "rate",
        r"""try\ (?:again\ )?later | try\ again | come\ back\ later
        | temporarily\ (?:deferred|unavailable|rejected)""",
    ),
)
