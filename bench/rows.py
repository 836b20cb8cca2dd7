"""Which fan-outs are measured, and how each one goes."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from bench.letters import load
from bench.posting import Figures, measure, measure_shared
from bench.sites import DOMAIN, Setting, Site

COPIES = 10_000
# Rest before each first copy, in seconds.
REST = 1.5
# Messages before the first of a row that takes two seconds: each process has its
# connections and its statements then, as one has that runs for an hour.
WARM = 50
USUAL = Setting()
Take = Callable[[Site, float], Figures]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table; `take` makes its figures on a running site."""

    name: str
    what: str
    take: Take
    setting: Setting = USUAL
    # What the rate is compared to: a yardstick of `bench.yardsticks`.
    limit: str = ""
    # Measured unless somebody asks for all.
    is_usual: bool = True
    # At most so many runs: a large one has a small spread by itself.
    most_runs: int = 99


def crowd(copies: int, key: str = "") -> Take:
    """One post to a list, each copy its recipient's own."""

    def take(site: Site, scale: float) -> Figures:
        count = max(10, int(copies * scale))
        address = f"crowd-{count}@{DOMAIN}"
        site.need_lists({address: count})
        site.sign(key)
        return measure(site, [address], count)

    return take


def shared(site: Site, scale: float) -> Figures:
    count = max(50, int(COPIES * scale))
    address = f"crowd-{count}@{DOMAIN}"
    site.need_lists({address: count})
    ten(site)
    site.sign("")
    measure(site, [f"ten@{DOMAIN}"], 10)
    return measure_shared(site, address, count)


def ten(site: Site) -> None:
    site.need_lists({f"ten@{DOMAIN}": 10})


def first(site: Site, scale: float) -> Figures:
    """Ten people, again and again, with a rest before each; the median."""
    ten(site)
    site.sign("rsa")
    found = []
    for _ in range(max(3, int(10 * scale))):
        time.sleep(REST)
        found.append(measure(site, [f"ten@{DOMAIN}"], 10))
    return replace(found[0], first=statistics.median(f.first for f in found))


def small(site: Site, scale: float) -> Figures:
    """200 posts to 20 lists of ten, from ten sessions."""
    addresses = [f"ten-{n}@{DOMAIN}" for n in range(20)]
    site.sign("")
    if addresses[0] not in site.lists:
        site.need_lists(dict.fromkeys(addresses, 10))
        measure(site, addresses, 10 * len(addresses), sessions=10)
    posts = list(
        itertools.islice(itertools.cycle(addresses), max(20, int(200 * scale)))
    )
    return measure(site, posts, 10 * len(posts), sessions=10)


def mixed(site: Site, scale: float) -> Figures:
    """What bench.letters draws by lot."""
    drawn = load(max(5, int(50 * scale)), max(20, int(300 * scale)))
    site.need_lists(drawn.lists)
    site.sign("rsa")
    addresses = [address for address, _ in drawn.posts]
    sizes = [octets for _, octets in drawn.posts]
    return measure(site, addresses, drawn.copies, sizes=sizes, sessions=10)


def alias_ten(site: Site, scale: float) -> Figures:
    address = f"desk@{DOMAIN}"
    if address not in site.lists:
        site.need_alias(address, site.people(address, 10))
        measure(site, [address] * WARM, 10 * WARM, sessions=10)
    posts = max(20, int(600 * scale))
    return measure(site, [address] * posts, 10 * posts, sessions=10)


def alias_thousand(site: Site, scale: float) -> Figures:
    """An alias of ten aliases of a hundred each: 1 -> 10 -> 1,000."""
    address = f"everybody@{DOMAIN}"
    if address not in site.lists:
        for floor in range(10):
            name = f"floor-{floor}@{DOMAIN}"
            site.need_alias(name, [f"p{floor}-{n}@crowd.test" for n in range(100)])
        site.need_alias(address, [f"floor-{floor}@{DOMAIN}" for floor in range(10)])
    posts = max(2, int(10 * scale))
    return measure(site, [address] * posts, 1000 * posts, sessions=2)


RAW, RSA, ED25519 = "raw", "rsa2048", "ed25519"
KEYS = {"unsigned": ("", RAW), "rsa": ("rsa", RSA), "ed25519": ("ed25519", ED25519)}


def _usual() -> Iterator[Row]:
    yield Row("first", "list of 10, idle site, rsa2048", first)
    yield Row("1k", "unsigned", crowd(1000), limit=RAW)
    for name, (key, limit) in KEYS.items():
        what = "unsigned" if not key else limit
        yield Row(name, what, crowd(COPIES, key), limit=limit)
    yield Row("shared", "alike, 50 RCPT a transaction", shared, limit="raw-50")
    yield Row("small", "posts to 20 lists of 10", small, limit=RAW)
    yield Row("alias-10", "alias 1 -> 10", alias_ten, limit="raw-50")
    what = "alias 1 -> 10 -> 1,000"
    yield Row("alias-1000", what, alias_thousand, limit="raw-50")
    yield Row("mixed", "posts by lot, rsa2048", mixed)
    yield Row("100k", "unsigned", crowd(100_000), limit=RAW, most_runs=1)


def _elsewhere() -> Iterator[Row]:
    """The same on other sites; far away enough that opening is not most of it."""
    one = replace(USUAL, workers=1)
    for short, setting, is_usual in (
        ("one-worker", one, True),
        ("20ms", replace(USUAL, latency=20), True),
        ("100ms", replace(USUAL, latency=100), True),
        ("sqlite", Setting("SQLite"), True),
        ("sqlite-one-worker", Setting("SQLite", 1), False),
        ("mx", replace(USUAL, route="MX, 500 domains"), True),
        ("mx-100ms", replace(USUAL, route="MX, 500 domains", latency=100), False),
        ("mx-one", replace(USUAL, route="MX, 1 domain"), True),
        ("mx-one-100ms", replace(USUAL, route="MX, 1 domain", latency=100), False),
    ):
        for name, (key, limit) in KEYS.items():
            here = short if name == "unsigned" else f"{short}-{name}"
            what = "unsigned" if not key else limit
            usual = is_usual and name == "unsigned"
            copies = COPIES if setting.latency < 100 else 5 * COPIES
            yield Row(
                here,
                what,
                crowd(copies, key),
                setting,
                "" if setting.latency else limit,
                usual,
            )
        what = "alike, 50 RCPT a transaction"
        yield Row(f"{short}-shared", what, shared, setting, "", is_usual=False)


def _large() -> Iterator[Row]:
    for name in ("rsa", "ed25519"):
        key, limit = KEYS[name]
        take = crowd(100_000, key)
        yield Row(f"100k-{name}", limit, take, USUAL, limit, False, 1)
    take = crowd(100_000)
    sqlite = Setting("SQLite")
    yield Row("sqlite-100k", "unsigned", take, sqlite, RAW, False, 1)


ROWS = [*_usual(), *_elsewhere(), *_large()]
MILLION = Row("million", "unsigned", crowd(1_000_000), limit=RAW, most_runs=1)
