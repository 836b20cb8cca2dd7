"""Fan-out: from the 250 of a post to the last subscriber's copy."""

from __future__ import annotations

from bench import product
from bench.figures import spread, table
from bench.machine import openssl_signatures

COPIES = 10_000


def figures(runs: int, scale: float) -> list[str]:
    """One row for each kind of post; signatures as a ratio to openssl around them."""
    limits: list[float] = []
    posts: dict[str, list[product.Figures]] = {}
    ratios: list[float] = []
    for _ in range(runs):
        before = openssl_signatures()
        for name, found in product.run(max(10, int(COPIES * scale))).items():
            posts.setdefault(name, []).append(found)
        limit = (before + openssl_signatures()) / 2
        limits.append(limit)
        ratios.append(posts["signed RSA-2048"][-1].rate / limit)
    heads = ("post", "copies", "copies/s", "first copy, ms", "statements a copy")
    return [
        *table(heads, [_row(name, found) for name, found in posts.items()]),
        "",
        f"openssl, all cores: {spread(limits)} RSA-2048 signatures/s;"
        f" signed copies a signature: {spread(ratios, '{:.2f}')}.",
    ]


def _row(name: str, found: list[product.Figures]) -> list[str]:
    return [
        name,
        f"{found[0].copies:,}",
        spread([f.rate for f in found]),
        spread([f.first_copy * 1000 for f in found]),
        spread([f.statements / f.copies for f in found], "{:.3f}"),
    ]
