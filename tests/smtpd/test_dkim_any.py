"""Whatever is in a message, the signature of each copy holds with dkimpy."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from smtpd.outbound.dkim import GUARDED, SIGNED
from smtpd.outbound.render import Parts
from tests.smtpd.test_dkim import KEYS, is_good, signed

NAMES = st.sampled_from((*GUARDED, *SIGNED, "received", "x-note", "List-Unsubscribe"))
WORDS = (
    b"a",
    b"B=",
    b";",
    b":",
    b".",
    b" ",
    b"  ",
    b"\t",
    b"\xc3\xa9",
    b"\xff",
)
# A field that ends in other white space than this dkimpy reads in its own way.
VALUES = st.lists(st.sampled_from((*WORDS, b"\r\n ", b"\r\n\tb"))).map(b"".join)
BODIES = st.lists(st.sampled_from((*WORDS, b"\x0b", b"\r\n", b"\n", b"\r", b"\r\n.")))


@st.composite
def messages(draw: st.DrawFn) -> Parts:
    fields = draw(st.lists(st.tuples(NAMES, VALUES), max_size=12))
    own = draw(st.lists(st.tuples(NAMES, VALUES, VALUES), max_size=3))
    head = b"".join(b"%s:%s.\r\n" % (name.encode(), value) for name, value in fields)
    copy_head = b"".join(
        b"%s: %s{token}%s.\r\n" % (name.encode(), before, after)
        for name, before, after in own
    )
    body = draw(BODIES)
    whole = b"".join(body)
    # Offsets between two words, never inside a line break.
    ends = [0]
    for word in body:
        ends.append(ends[-1] + len(word))
    inside = [at for at in ends if whole[at - 1 : at] != b"\r"]
    cuts = sorted(draw(st.lists(st.sampled_from(inside or [0]), max_size=4)))
    return Parts(b"From: olga@lists.test\r\n" + head, copy_head, whole, cuts)


@given(st.sampled_from(sorted(KEYS)), messages(), st.sampled_from(("aa", "abcdefgh27")))
def test_signature_holds(kind: str, parts: Parts, token: str) -> None:
    assert is_good(kind, signed(kind, parts, token))
