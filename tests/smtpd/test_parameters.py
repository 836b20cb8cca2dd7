"""MAIL and RCPT behind the path: what is read, and what is refused with what."""

from __future__ import annotations

import pytest

from smtpd import replies
from smtpd.listener import parameters
from smtpd.listener.parameters import BadParameters, Mail, Rcpt
from smtpd.replies import Reply


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", Mail()),
        (b" SIZE=99 BODY=8bitmime SMTPUTF8", Mail(99, True, True)),
        (b" RET=FULL ENVID=QQ314159", Mail(ret="FULL", envid="QQ314159")),
        (b" ret=hdrs", Mail(ret="HDRS")),
        (b" ENVID=a+2Bb+20c", Mail(envid="a+2Bb+20c")),
        (b" ENVID=" + b"x" * 100, Mail(envid="x" * 100)),
    ],
)
def test_mail(text: bytes, found: Mail) -> None:
    assert parameters.mail(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", Rcpt()),
        (b" NOTIFY=never", Rcpt("NEVER")),
        (b" NOTIFY=DELAY,success", Rcpt("SUCCESS,DELAY")),
        (b" ORCPT=rfc822;Sam+2Btag@x.test", Rcpt("", "rfc822;Sam+2Btag@x.test")),
        (b" ORCPT=x400;/S+3DSmith/", Rcpt("", "x400;/S+3DSmith/")),
        (
            b" ORCPT=utf-8;s\\x{E4}m@x.test NOTIFY=FAILURE",
            Rcpt("FAILURE", "utf-8;s\\x{E4}m@x.test"),
        ),
        (b" ORCPT=rfc822;" + b"x" * 493, Rcpt("", "rfc822;" + "x" * 493)),
    ],
)
def test_rcpt(text: bytes, found: Rcpt) -> None:
    assert parameters.rcpt(text) == found


def test_utf8_in_orcpt_needs_smtputf8() -> None:
    text = " ORCPT=utf-8;säm@x.test".encode()
    assert parameters.rcpt(text, utf8=True) == Rcpt("", "utf-8;säm@x.test")
    assert _refusal(parameters.rcpt, text) == replies.BAD_PARAMETER


def test_auth_is_read_where_it_is_offered() -> None:
    for value in (b"<>", b"sam+2Bx@x.test"):
        assert parameters.mail(b" AUTH=" + value, auth=True) == Mail()
        refusal = _refusal(parameters.mail, b" AUTH=" + value)
        assert refusal == replies.UNKNOWN_PARAMETER
    with pytest.raises(BadParameters):
        parameters.mail(b" AUTH=sam+2bx", auth=True)


@pytest.mark.parametrize(
    "text",
    [
        b" RET=BOTH",
        b" RET",
        b" RET=FULL RET=FULL",
        b" ENVID",
        b" ENVID=",
        b" ENVID=" + b"x" * 101,
        b" ENVID=a+2b",
        b" ENVID=a+",
        b" ENVID=a=b",
        # No control characters, however they are written.
        b" ENVID=a+0Ab",
        b" ENVID=a+7Fb",
        b" ENVID=a+FCb",
        b" SIZE",
        b" BODY",
        b" SMTPUTF8=1",
        b" ENVID=\xff",
    ],
)
def test_bad_mail(text: bytes) -> None:
    assert _refusal(parameters.mail, text) == replies.BAD_PARAMETER


@pytest.mark.parametrize(
    "text",
    [
        b" NOTIFY",
        b" NOTIFY=",
        b" NOTIFY=NEVER,FAILURE",
        b" NOTIFY=ALWAYS",
        b" NOTIFY=SUCCESS,",
        b" NOTIFY=NEVER NOTIFY=NEVER",
        b" ORCPT=sam@x.test",
        b" ORCPT=rfc822;",
        b" ORCPT=;sam@x.test",
        b" ORCPT=rfc822;a+0D+0ABcc:x",
        b" ORCPT=rfc822;s\xc3\xa4m@x.test",
        b" ORCPT=utf-8;a\\x{A}b",
        b" ORCPT=utf-8;a\\x{0A}b",
        b" ORCPT=utf-8;a\\x{85}b",
        b" ORCPT=utf-8;a\\x{D800}b",
        b" ORCPT=utf-8;a+2B",
        b" ORCPT=rfc822;" + b"x" * 494,
    ],
)
def test_bad_rcpt(text: bytes) -> None:
    assert _refusal(parameters.rcpt, text) == replies.BAD_PARAMETER


@pytest.mark.parametrize("text", [b" REQUIRETLS", b" BY=120;R", b" MT-PRIORITY=3"])
def test_what_is_not_announced_is_unknown(text: bytes) -> None:
    assert _refusal(parameters.mail, text) == replies.UNKNOWN_PARAMETER
    assert _refusal(parameters.rcpt, b" RRVS=x") == replies.UNKNOWN_PARAMETER


def _refusal(read: object, text: bytes) -> Reply:
    assert callable(read)
    with pytest.raises(BadParameters) as caught:
        read(text)
    return caught.value.reply
