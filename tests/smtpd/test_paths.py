"""Paths of envelopes: what is taken, what is refused and in which words."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smtpd.paths import NULL, BadPath, Path, forward_path, mailbox, reverse_path

OK = {
    b"<list@l.test>": ("list", "l.test"),
    b"<List@L.Test>": ("List", "l.test"),
    b'<"list"@l.test>': ("list", "l.test"),
    b'<"a b"@l.test>': ("a b", "l.test"),
    b'<"a\\"\\\\b"@l.test>': ('a"\\b', "l.test"),
    b'<"u..v"@l.test>': ("u..v", "l.test"),
    b"<x@[192.0.2.1]>": ("x", "[192.0.2.1]"),
    b"<x@[IPv6:2001:DB8:0::1]>": ("x", "[IPv6:2001:db8::1]"),
    b"<@a.test:x@l.test>": ("x", "l.test"),
    b"<@a.test,@[192.0.2.1]:x@l.test>": ("x", "l.test"),
    b"<a+b=c!d#e@l.test>": ("a+b=c!d#e", "l.test"),
    b"<x@localhost>": ("x", "localhost"),
    b"<postmaster@l.test>": ("postmaster", "l.test"),
    # Probe forms 2, 7, 12: our parser gives them no meaning of their own.
    b"<x%X@l.test>": ("x%X", "l.test"),
    b'<"x@X"@l.test>': ("x@X", "l.test"),
    b"<X!x@l.test>": ("X!x", "l.test"),
    b"<x%X@[192.0.2.1]>": ("x%X", "[192.0.2.1]"),
    # 9, 10: the route is stripped, the foreign domain stays to be refused.
    b"<@l.test:x@x.test>": ("x", "x.test"),
    b"<@a.test,@l.test:x@x.test>": ("x", "x.test"),
}


@pytest.mark.parametrize("text", OK)
def test_a_lawful_path_is_read(text: bytes) -> None:
    assert forward_path(text, utf8=False) == (Path(*OK[text]), b"")
    assert reverse_path(text, utf8=False) == (Path(*OK[text]), b"")


BAD_SYNTAX = (
    b"",
    b"x",
    b"x@x.test",
    b"<",
    b"<>",
    b"<x>",
    b'<"x@x.test">',
    b'<"x%x.test">',
    b"<X!x>",
    b"<x@x.test@l.test>",
    b"<x@x.test@[192.0.2.1]>",
    b"<x@x.test.>",
    b"<x@.x.test>",
    b"<x@x..test>",
    b"<x@-x.test>",
    b"<x@x-.test>",
    b"<x@x_y.test>",
    b"<list@l.test",
    b"<list @l.test>",
    b"< list@l.test>",
    b"<list@ l.test>",
    b"<list@l.test >",
    b"<list(c)@l.test>",
    b"<(c)list@l.test>",
    b"<list@(c)l.test>",
    b"<u..v@l.test>",
    b"<.u@l.test>",
    b"<u.@l.test>",
    b"<@l.test>",
    b'<""@l.test>',
    b'<"a"b@l.test>',
    b'<"a@l.test>',
    b'<a"b"@l.test>',
    b"<a\\@b@l.test>",
    b"<x@[192.0.2.256]>",
    b"<x@[1.2.3]>",
    b"<x@[2001:db8::1]>",
    b"<x@[IPv6:zz]>",
    b"<x@[IPv6:fe80::1%eth0]>",
    b"<x@[tag:stuff]>",
    b"<x@[192.0.2.1>",
    b"<@a.test x@l.test>",
    b"<@a.test,x@l.test>",
    b"<postmaster",
    b"<postmaster >",
    b"<" + b"a" * 65 + b"@l.test>",
    b"<a@" + b"a" * 64 + b".test>",
    b"<a@" + b".".join([b"abcdefg"] * 32) + b".test>",
    b"<" + b"a" * 60 + b"@" + b".".join([b"abcdefgh"] * 22) + b".test>",
    b"<../../etc/passwd@l.test>",
)


@pytest.mark.parametrize("text", BAD_SYNTAX)
def test_bad_syntax_is_501(text: bytes) -> None:
    with pytest.raises(BadPath) as caught:
        forward_path(text, utf8=False)
    assert str(caught.value.reply).startswith("501 5.1.3")


@pytest.mark.parametrize("text", BAD_SYNTAX)
def test_bad_sender_syntax_is_501(text: bytes) -> None:
    if text == b"<>":
        return
    with pytest.raises(BadPath) as caught:
        reverse_path(text, utf8=False)
    assert str(caught.value.reply).startswith("501 5.1.7")


@pytest.mark.parametrize(
    "text",
    [
        b"<a\0b@l.test>",
        b"<a\rb@l.test>",
        b"<a\nb@l.test>",
        b"<a\tb@l.test>",
        b'<"a\0b"@l.test>',
        b'<"a\r\n b"@l.test>',
        b'<"a\x7f"@l.test>',
        b"<ab@l\0.test>",
    ],
)
def test_control_characters_are_553(text: bytes) -> None:
    with pytest.raises(BadPath) as caught:
        forward_path(text, utf8=True)
    assert str(caught.value.reply).startswith("553 5.1.3")


def test_encoded_words_are_plain_text() -> None:
    """CPython 152519: a header parser decodes this to `a@b`."""
    path, _ = forward_path(b"<=?utf-8?q?a=40b?=@l.test>", utf8=False)
    assert path.local_part == "=?utf-8?q?a=40b?="


def test_the_null_path_is_for_senders_only() -> None:
    assert reverse_path(b"<> SIZE=1", utf8=False) == (NULL, b" SIZE=1")
    assert str(NULL) == ""
    assert NULL.is_null


@pytest.mark.parametrize("text", [b"<Postmaster>", b"<postmaster>", b"<POSTMASTER>"])
def test_bare_postmaster_is_a_recipient_but_no_sender(text: bytes) -> None:
    path, _ = forward_path(text, utf8=False)
    assert path == Path("postmaster", "")
    assert str(path) == "postmaster"
    with pytest.raises(BadPath):
        reverse_path(text, utf8=False)


def test_what_follows_the_path_is_given_back() -> None:
    assert forward_path(b"<a@l.test>, <x@x.test>", utf8=False)[1] == b", <x@x.test>"
    assert reverse_path(b'<"> "@l.test> SIZE=5', utf8=False)[1] == b" SIZE=5"


@pytest.mark.parametrize("text", ["<ü@l.test>", "<a@ü.test>", '<"ü"@l.test>'])
def test_utf8_is_refused_when_it_was_not_asked_for(text: str) -> None:
    with pytest.raises(BadPath) as caught:
        forward_path(text.encode(), utf8=False)
    assert str(caught.value.reply).startswith("553 5.6.7")


def test_utf8_becomes_nfc_and_a_label() -> None:
    path, _ = forward_path("<u\u0308@BU\u0308CHER.test>".encode(), utf8=True)
    assert path == Path("\xfc", "xn--bcher-kva.test")
    assert path.is_utf8


def test_a_domain_never_becomes_another() -> None:
    """IDNA 2003 reads `ß` as `ss`, which is somebody else's domain."""
    assert mailbox("a@straße.test").domain == "xn--strae-oqa.test"


def test_an_a_label_alone_needs_no_smtputf8() -> None:
    assert not mailbox("a@bücher.test").is_utf8


@pytest.mark.parametrize(
    "text",
    [
        b"<\xff@l.test>",
        "<a\u202eb@l.test>".encode(),
        "<a\u2028b@l.test>".encode(),
        "<a\u0085b@l.test>".encode(),
        "<a@b\u3002test>".encode(),
        "<a@b\u2024test>".encode(),
        "<a@\u200b.test>".encode(),
    ],
)
def test_utf8_that_misleads_is_refused(text: bytes) -> None:
    with pytest.raises(BadPath) as caught:
        forward_path(text, utf8=True)
    assert str(caught.value.reply).startswith("553 5.1.3")


def test_the_longest_lawful_parts_are_taken() -> None:
    local_part = "a" * 64
    domain = ".".join(["b" * 63, "c" * 63, "d" * 61])
    text = f"<{local_part}@{domain}>"
    assert len(text) == 256
    assert forward_path(text.encode(), utf8=False)[0] == Path(local_part, domain)
    with pytest.raises(BadPath):
        mailbox(f"{local_part}@{domain}d")


@pytest.mark.parametrize("text", ["", "olga", "<a@b.test>", "a@b.test x", "a@b@c", "@"])
def test_what_a_person_types_must_be_one_mailbox(text: str) -> None:
    with pytest.raises(BadPath):
        mailbox(text)


def test_a_lone_surrogate_is_no_mailbox() -> None:
    with pytest.raises(BadPath):
        mailbox("a\udcffb@l.test")


@given(st.binary(max_size=80), st.booleans())
def test_whatever_comes_is_a_path_or_a_refusal(octets: bytes, utf8: bool) -> None:
    for text in (octets, b"<" + octets + b">"):
        for parse in (forward_path, reverse_path):
            # Any other exception would be a crash of the session.
            with contextlib.suppress(BadPath):
                path, _ = parse(text, utf8=utf8)
                assert utf8 or str(path).isascii()
                assert not set(str(path)) & set("\r\n\0")


LOCAL_PARTS = st.text(min_size=1, max_size=24)
DOMAINS = st.one_of(
    st.from_regex(
        r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z0-9]{1,9}){0,3}", fullmatch=True
    ),
    st.ip_addresses(v=4).map(lambda ip: f"[{ip}]"),
    st.ip_addresses(v=6).map(lambda ip: f"[IPv6:{ip}]"),
    st.text(
        st.characters(categories=["Ll", "Lu", "Lo", "Nd", "Mn"]), min_size=1, max_size=9
    ),
)


@given(LOCAL_PARTS, DOMAINS)
def test_a_mailbox_reads_back_as_itself(local_part: str, domain: str) -> None:
    escaped = local_part.replace("\\", "\\\\").replace('"', '\\"')
    try:
        path = mailbox(f'"{escaped}"@{domain}')
    except BadPath:
        return
    assert mailbox(str(path)) == path
    wire = f"<{path}>".encode()
    assert forward_path(wire, utf8=path.is_utf8) == (path, b"")
