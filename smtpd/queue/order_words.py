"""What an order is about to do and what it did, in words for page and terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from smtpd.outbound.relay import RELAY
from smtpd.queue.orders import Done, Order, Reach

_SHOWN = 5
_ASKED = {
    Order.HOLD: "This puts {copies} on hold{where}, until somebody releases {them} or"
    " tries {them} again.",
    Order.RELEASE: "This lets {copies} go on{where}, each in its turn.",
    Order.RETRY: "This tries {copies}{where} again now.",
    Order.FAIL: "This fails {copies}{where} and tells {their} senders.",
    Order.DROP: "This drops {copies}{where}. Nobody is told.",
}
_DONE = {
    Order.HOLD: "{copies} {are} on hold.",
    Order.RELEASE: "{copies} {go} on.",
    Order.RETRY: "{copies} {are} due now.",
    Order.FAIL: "{copies} failed; the senders are told.",
    Order.DROP: "{copies} {were} dropped.",
}
_NEVER = {
    Order.HOLD: "wait to be sent",
    Order.RELEASE: "are on hold",
    Order.RETRY: "wait for a later time, are on hold or failed",
    Order.FAIL: "wait or are on hold",
    Order.DROP: "wait or are on hold",
}


def copies(count: int) -> str:
    """`1 copy`, `2,000 copies`."""
    return "1 copy" if count == 1 else f"{count:,} copies"


def server(name: str) -> str:
    """What people call a destination."""
    return "the relay" if name == RELAY else name


def what(reach: Reach) -> str:
    """What an order is about: copies, or the servers that they wait for."""
    if reach.resting and not reach.count:
        return _names(reach.resting)
    return copies(reach.count)


def before(reach: Reach) -> str:
    """The sentence to be sure about."""
    if reach.resting and not reach.count:
        return f"These are due already: this asks {_names(reach.resting)} at once."
    if not reach.count:
        return f"This changes nothing: none of these {_NEVER[reach.order]}."
    is_one = reach.count == 1
    return _ASKED[reach.order].format(
        copies=copies(reach.count),
        where=_where(reach),
        them="it" if is_one else "them",
        their="its" if is_one else "their",
    )


def besides(reach: Reach) -> Iterator[str]:
    """What else there is to know before one says yes."""
    if reach.in_hands:
        yield (
            f"{copies(reach.in_hands)} more: in a worker's hands right now. What was"
            " handed over cannot be withdrawn, so they are left alone."
        )
    if reach.order is Order.FAIL and reach.count:
        yield (
            "Told are the senders of mail to aliases and of what people here sent."
            " Of a list's post its author hears nothing, and nothing is counted"
            " against a member."
        )
    if reach.order is Order.RETRY:
        yield from _besides_retrying(reach)
    if reach.order in (Order.FAIL, Order.DROP):
        yield "This cannot be taken back. To stop them for now, put them on hold."
    if reach.count > reach.order.most:
        yield f"At most {copies(reach.order.most)} at once: say it again for the rest."


def _besides_retrying(reach: Reach) -> Iterator[str]:
    if reach.failed:
        yield f"{copies(reach.failed)} had failed: senders may have been told so."
    if reach.resting and reach.count:
        yield f"Asked at once, though they rest: {_names(reach.resting)}."
    if reach.held:
        yield (
            f"On hold: {_names(reach.held)}. Nothing is tried there until it is"
            " released."
        )


def after(done: Done) -> str:
    """What an order did."""
    said = []
    if done.count or not done.woken:
        said.append(_done(done))
    if done.woken:
        servers = "1 server" if done.woken == 1 else f"{done.woken:,} servers"
        said.append(
            f"{servers} that rested {'is' if done.woken == 1 else 'are'} asked now."
        )
    if done.in_hands:
        said.append(
            f"{copies(done.in_hands)} in a worker's hands right now"
            f" {'was' if done.in_hands == 1 else 'were'} left alone: look again soon."
        )
    if done.has_more:
        said.append("There are more: say it again for the rest.")
    return " ".join(said)


def _done(done: Done) -> str:
    if not done.count:
        return f"Nothing was changed: none of these {_NEVER[done.order]} now."
    is_one = done.count == 1
    return _DONE[done.order].format(
        copies=copies(done.count),
        are="is" if is_one else "are",
        were="was" if is_one else "were",
        go="goes" if is_one else "go",
    )


def _names(destinations: Sequence[str]) -> str:
    """`the relay, home.test and 3 more`."""
    left = len(destinations) - _SHOWN
    names = ", ".join(map(server, destinations[:_SHOWN]))
    return f"{names} and {left:,} more" if left > 0 else names


def _where(reach: Reach) -> str:
    if len(reach.counts) == 1:
        return f" for {server(next(iter(reach.counts)))}"
    names = [f"{server(name)} ({n:,})" for name, n in reach.counts.items()][:_SHOWN]
    left = len(reach.counts) - len(names)
    more = f" and {left:,} more" if left else ""
    return f" for {len(reach.counts):,} destinations ({', '.join(names)}{more})"


HELD_HOST = (
    "What a worker has in its hands at this moment still goes out.",
    "Mail that waits grows older meanwhile; it is not given up while nothing is tried.",
)


def before_holding(name: str, waiting: int) -> str:
    """What holding a destination means."""
    wait = "waits" if waiting == 1 else "wait"
    return (
        f"Nothing goes to {server(name)} any more until somebody releases it."
        f" {copies(waiting)} {wait} there now."
    )


def after_host(name: str, *, is_hold: bool, has_changed: bool) -> str:
    """What became of a destination."""
    host = server(name)
    host = host[0].upper() + host[1:] if name == RELAY else host
    if is_hold:
        return f"{host} is on hold." if has_changed else f"{host} was on hold already."
    return f"{host} is released." if has_changed else f"{host} was not on hold."
