"""How much of our time and memory a stranger may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Octets, seconds and counts; the tests set them small."""

    # What EHLO announces as SIZE (RFC 1870).
    message_size: int = 26_214_400
    # Read to the dot of a message this many times too big, then hang up.
    drain_factor: int = 2
    # RFC 5321 4.5.3.1.4 says 512; SMTPUTF8 and long paths need more.
    command_line: int = 2048
    # Without a line end in so many octets, it is no SMTP client.
    command_garbage: int = 1_048_576
    # RFC 5321 4.5.3.1.6 says 1000; real mail has longer ones.
    text_line: int = 65_536
    recipients: int = 1000
    # Commands we did not understand or that came out of turn.
    errors: int = 20
    # So many are free; each one more has to be waited for, in seconds.
    free_errors: int = 5
    error_pause: float = 1.0
    # Recipients of one session that do not exist: so many are free, each one
    # more has to be waited for, and then nobody is looked up any more.
    free_refusals: int = 20
    refusals: int = 100
    # Commands one after the other that bring no message: NOOP, RSET and such.
    idle_commands: int = 100
    # Wrong passwords in one session, and how much longer each next try takes.
    failed_logins: int = 3
    login_pause: float = 2.0

    # RFC 5321 4.5.3.2.7: how long we wait for the next whole command.
    command_seconds: float = 300
    # RFC 5321 4.5.3.2.5: how long for the next piece of a message...
    chunk_seconds: float = 180
    # ...which after a while must come at this rate, octets a second...
    rate_grace_seconds: float = 60
    rate: int = 128
    # ...and be there by then, whatever its size.
    content_seconds: float = 3600
    handshake_seconds: float = 30
    # For a trusted proxy to say whom it brings.
    proxy_seconds: float = 5
    # How long another machine has to be silent before we greet it.
    greeting_pause: float = 0.0
    # For the client to read our replies.
    write_seconds: float = 60
    # For the database to answer. RFC 5321 4.5.3.2.6 gives us 600 for a message,
    # but for a MAIL or RCPT some clients have less patience.
    database_seconds: float = 25
    # For messages on their way when we are told to stop.
    grace_seconds: float = 10

    connections: int = 1000
    # Of one IPv4 address or IPv6 /64; this machine itself is not counted.
    connections_of_peer: int = 50
    # Database work at the same time, each with a connection of its own.
    threads: int = 8
    # Content beyond this goes to a file until it is stored...
    spool_memory: int = 262_144
    # ...and so many messages beyond this are in memory at the same time.
    large_message: int = 1_048_576
    large_at_once: int = 2
    # ...and so many pieces of large ones are looked at in one round.
    pieces_at_once: int = 4
    # So many octets may be in such files in all, or who wants more waits.
    spool_total: int = 1_073_741_824
    # No MAIL is taken with less room than this on the disk of the spool.
    free_space: int = 67_108_864
