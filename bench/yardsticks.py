"""What this machine can do at best, without us; taken beside each run."""

from __future__ import annotations

from bench import raw
from bench.machine import openssl_signatures
from bench.sinks import Sinks

CONNECTIONS = (1, 10, 50)
MESSAGES = 8000


def measure(scale: float) -> dict[str, float]:
    """Copies or signatures a second, by name; `raw` is the best of its kind."""
    count = max(500, int(MESSAGES * min(scale, 1)))
    with Sinks() as sinks:
        found = {f"raw-{n}-open": raw.rate(sinks.port, n, count) for n in CONNECTIONS}
        found["raw"] = max(found.values())
        found["raw-50"] = raw.rate(sinks.port, 10, count // 4, 50)
    for kind in ("rsa2048", "ed25519"):
        found[kind] = openssl_signatures(kind, 1 if scale < 1 else 2)
    return found


WORDS = {
    "raw-1-open": "raw client, 1 connection, messages/s",
    "raw-10-open": "raw client, 10 connections, messages/s",
    "raw-50-open": "raw client, 50 connections, messages/s",
    "raw-50": "raw client, 50 recipients a transaction, copies/s",
    "rsa2048": "openssl, all cores, RSA-2048 signatures/s",
    "ed25519": "openssl, all cores, Ed25519 signatures/s",
}
