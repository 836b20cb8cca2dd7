"""Every sentence we say to another mail server, and nothing but those.

A reply is generic by design: it names the fact the sender can act on, never
what went wrong inside. RFC 5321 4.2 (codes), RFC 3463 and RFC 5248 (enhanced).
Texts with {braces} are filled in by the caller with `fill`.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, replace
from functools import lru_cache

# RFC 5321 4.5.3.1.5 allows 512 octets with code and CRLF.
LINE_LENGTH = 480
_CONTROLS = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: `550 5.1.1 There is nobody of that name here`.

    `enhanced` is empty for the greeting, HELO, EHLO and 354 (RFC 2034 3).
    """

    code: int
    enhanced: str
    text: str

    def __bytes__(self) -> bytes:
        """Return the wire form with its CRLF; each line of text is one line.

        Whatever stands in the text, the result is ASCII without control
        characters and keeps the length RFC 5321 sets for a line.
        """
        return _wire(self)

    def __str__(self) -> str:
        """Return it as people write it: code, enhanced code, text."""
        return " ".join(filter(None, (str(self.code), self.enhanced, self.text)))

    def with_text(self, text: str) -> Reply:
        """Return the same codes with other words."""
        return replace(self, text=text)

    def fill(self, **words: str | int) -> Reply:
        """Return it with the {braces} of its text filled in."""
        return replace(self, text=self.text.format(**words))

    @property
    def is_positive(self) -> bool:
        """Whether it grants what was asked for (2xx)."""
        return 200 <= self.code < 300

    @property
    def is_permanent(self) -> bool:
        """Whether trying again would not help (5xx)."""
        return self.code >= 500


@lru_cache(maxsize=512)
def _wire(reply: Reply) -> bytes:
    text = reply.text
    is_plain = len(text) <= LINE_LENGTH and text.isascii() and text.isprintable()
    lines = [text] if is_plain else _lines(text)
    marks = ["-"] * (len(lines) - 1) + [" "]
    enhanced = f"{reply.enhanced} " if reply.enhanced else ""
    return "".join(
        f"{reply.code}{mark}{enhanced}{line}\r\n"
        for mark, line in zip(marks, lines, strict=True)
    ).encode("ascii")


def _lines(text: str) -> list[str]:
    return [
        part
        for line in text.split("\n")
        for part in textwrap.wrap(
            _CONTROLS.sub("?", line.replace("\r", "")), LINE_LENGTH
        )
        or [""]
    ]


# --- the session ------------------------------------------------------------
GREETING = Reply(220, "", "{hostname} ESMTP")
LMTP_GREETING = Reply(220, "", "{hostname} LMTP")
HELLO = Reply(250, "", "{hostname}")
OK = Reply(250, "2.0.0", "OK")
BYE = Reply(221, "2.0.0", "Bye")
HELP = Reply(214, "2.0.0", "")
# VRFY and EXPN (RFC 5321 3.5; 2.6.8 and 5.7.2: RFC 6531 3.7.4.2, RFC 3463 3.8).
VERIFIED = Reply(250, "2.1.5", "{entry}")
AMBIGUOUS = Reply(553, "5.1.4", "Ambiguous; possibilities are")
LIST_NOT_USER = Reply(550, "5.1.1", "That is a mailing list, not a user")
USER_NOT_LIST = Reply(550, "5.1.1", "That is a user name, not a mailing list")
NO_SUCH_LIST = Reply(550, "5.1.1", "There is no such list here")
MEMBERS = Reply(250, "2.1.5", "Nobody is on it")
EXPN_DENIED = Reply(550, "5.7.2", "Who is on it is not yours to see")
NEEDS_UTF8 = Reply(252, "2.6.8", "It takes UTF-8 to say who that is")
CANNOT_VRFY = Reply(252, "2.0.0", "Cannot VRFY, but will take mail and try")
READY_FOR_TLS = Reply(220, "2.0.0", "Ready to start TLS")
NO_TLS = Reply(502, "5.5.1", "TLS is not available here")
TLS_ALREADY = Reply(503, "5.5.1", "TLS is already active")

# --- what the client did wrong ----------------------------------------------
UNKNOWN_COMMAND = Reply(500, "5.5.1", "Command not recognised")
BAD_LINE_END = Reply(500, "5.5.2", "Lines must end with CR LF, and only there")
LINE_TOO_LONG = Reply(500, "5.5.2", "Command line too long")
NOT_IMPLEMENTED = Reply(502, "5.5.1", "Command not implemented")
BAD_ARGUMENT = Reply(501, "5.5.4", "Bad argument")
HELLO_NEEDS_NAME = Reply(501, "5.5.4", "Your host name is missing")
BAD_PARAMETER = Reply(501, "5.5.4", "Bad or repeated parameter")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognised")
HELLO_FIRST = Reply(503, "5.5.1", "Say EHLO first")
NESTED_MAIL = Reply(503, "5.5.1", "A message is already under way")
MAIL_FIRST = Reply(503, "5.5.1", "Say MAIL first")
RCPT_FIRST = Reply(503, "5.5.1", "Say RCPT first")
NO_RECIPIENTS = Reply(554, "5.5.1", "No valid recipients")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients")

# RFC 5321 3.1: refused by policy, all that is left is QUIT.
NOT_WELCOME = Reply(554, "5.7.1", "We take no mail from your address. {why}")
UNWELCOME = Reply(503, "5.5.1", "You were refused; only QUIT is left")
EARLY_TALKER = Reply(554, "5.5.0", "You spoke before our greeting (RFC 5321 4.3.1)")

# --- AUTH (RFC 4954) ----------------------------------------------------------
AUTH_GO_ON = Reply(334, "", "")
# base64 of `Username:` and `Password:`, which is all LOGIN ever said.
AUTH_NAME = Reply(334, "", "VXNlcm5hbWU6")
AUTH_PASSWORD = Reply(334, "", "UGFzc3dvcmQ6")
AUTHENTICATED = Reply(235, "2.7.0", "Welcome")
AUTH_FIRST = Reply(530, "5.7.0", "Log in first")
ENCRYPT_FIRST = Reply(538, "5.7.11", "Say STARTTLS before you log in")
AUTH_NOT_NOW = Reply(503, "5.5.1", "Logging in is over, or has to come before MAIL")
AUTH_CANCELLED = Reply(501, "5.7.0", "Logging in was cancelled")
BAD_BASE64 = Reply(501, "5.5.2", "That is not the base64 we wait for")
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "That way to log in is not known here")
AUTH_TROUBLE = Reply(454, "4.7.0", "Trouble on our side, try again later")
AUTH_BRAKED = Reply(454, "4.7.0", "Too many wrong passwords, try again in ten minutes")
BAD_CREDENTIALS = Reply(535, "5.7.8", "Name or password is wrong")

# --- closing ------------------------------------------------------------------
TOO_SLOW = Reply(421, "4.4.2", "Timed out, closing")
SHUTTING_DOWN = Reply(421, "4.3.2", "Shutting down, try again soon")
TOO_BUSY = Reply(421, "4.3.2", "Too many connections, try again later")
TOO_MANY_FROM_YOU = Reply(421, "4.7.0", "Too many connections from your address")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "Too many errors, closing")
TOO_MANY_REFUSED = Reply(421, "4.7.0", "Too many unknown recipients, closing")
TOO_IDLE = Reply(421, "4.7.0", "Too many commands without a message, closing")
TOO_MUCH_DATA = Reply(421, "4.7.0", "Far over the size limit, closing")

# --- paths --------------------------------------------------------------------
BAD_SENDER = Reply(501, "5.1.7", "Bad sender address syntax")
BAD_RECIPIENT = Reply(501, "5.1.3", "Bad recipient address syntax")
SENDER_NOT_ALLOWED = Reply(553, "5.1.7", "Sender address not allowed")
RECIPIENT_NOT_ALLOWED = Reply(553, "5.1.3", "Recipient address not allowed")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "Non-ASCII addresses need SMTPUTF8")

# --- MAIL -----------------------------------------------------------------
SENDER_OK = Reply(250, "2.1.0", "Sender OK")
DISK_LOW = Reply(452, "4.3.1", "Not enough room now, try again later")

# --- RCPT -----------------------------------------------------------------
RCPT_OK = Reply(250, "2.1.5", "Recipient OK")
WILL_FORWARD = Reply(251, "2.1.5", "User not local; will forward to <{mailbox}>")
NO_SUCH_USER = Reply(550, "5.1.1", "There is no such address here")
DISABLED = Reply(550, "5.2.1", "This address takes no mail")
EXPIRED = Reply(550, "5.2.1", "This address has expired")
MOVED = Reply(550, "5.1.6", "This person has moved and left no address")
MOVED_TO = Reply(551, "5.1.6", "User not local; please try <{mailbox}>")
RELAY_DENIED = Reply(550, "5.7.1", "We do not take mail for that domain")
BAD_TOKEN = Reply(550, "5.7.1", "This address is not valid, or no longer")
LOOP = Reply(550, "5.4.6", "Mail loop: this message has been here before")
ALIAS_TOO_WIDE = Reply(550, "5.4.6", "This address leads to itself or too far")
LEADS_NOWHERE = Reply(550, "5.2.4", "Nobody is behind this address any more")
TEMP_CLOSE = Reply(421, "4.3.0", "Trouble on our side, closing (id {id})")
TEMP_TROUBLE = Reply(451, "4.3.0", "Trouble on our side, try again later (id {id})")

# --- DATA -----------------------------------------------------------------
GO_AHEAD = Reply(354, "", "End data with <CR><LF>.<CR><LF>")
QUEUED = Reply(250, "2.0.0", "OK queued as {key}")
QUEUED_HELD = Reply(250, "2.0.0", "OK queued as {key}, waiting for a moderator")
KEPT = Reply(250, "2.0.0", "OK kept in the mailbox")
CHUNK_TAKEN = Reply(250, "2.0.0", "{size} octets taken")
CHUNKS_FIRST = Reply(503, "5.5.1", "The content is coming in by BDAT already")
TOO_BIG = Reply(552, "5.3.4", "Message too big; the limit is {size} octets")
BARE_CR_LF = Reply(550, "5.5.2", "Message has a bare CR or LF; lines end with CR LF")
HAS_NUL = Reply(550, "5.6.0", "Message contains NUL")
TEXT_LINE_TOO_LONG = Reply(550, "5.6.0", "Message has a line that is too long")
TOO_MANY_FIELDS = Reply(550, "5.6.0", "Message header is too big")
TOO_MANY_HOPS = Reply(550, "5.4.6", "Too many hops")

# --- submission (RFC 6409) ---------------------------------------------------
NOT_YOUR_SENDER = Reply(550, "5.7.1", "{name} may not send as <{mailbox}>")
NOT_YOUR_AUTHOR = Reply(550, "5.7.1", "{name} may not write as the author in From")
CANNOT_LEAVE = Reply(
    550, "5.7.1", "Without an address here you can only write to addresses here"
)
LOGGED_OUT = Reply(550, "5.7.1", "The password {name} logged in with is no longer good")
DAY_LIMIT = Reply(450, "4.7.1", "You have reached {name}'s limit for today")
BAD_FIELD = Reply(550, "5.6.0", "Message header has a line that is no field")
CONTROL_IN_FIELD = Reply(550, "5.6.0", "Message header has control characters")
REPEATED_FIELD = Reply(550, "5.6.0", "Message has From or Sender more than once")
UNCLEAR_AUTHOR = Reply(550, "5.6.0", "From or Sender cannot be read beyond doubt")

# --- lists ------------------------------------------------------------------
MEMBERS_ONLY = Reply(550, "5.7.1", "Only subscribers may post to this list. {help}")
OWNERS_ONLY = Reply(550, "5.7.1", "Only the owners may post to this list. {help}")
DUPLICATE = Reply(550, "5.7.1", "This list already has this message")
NO_ROBOTS = Reply(550, "5.7.1", "This list takes no automatic mail")
NO_NULL_SENDER = Reply(550, "5.7.1", "This list takes no bounces at its own address")
NO_AUTHOR = Reply(550, "5.6.0", "Message has no author: From has no address")
