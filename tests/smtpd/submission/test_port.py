"""A mail program on the submission ports, over real TLS."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aliases import actions as aliases
from lists.models import Post
from project.models import User
from smtpd.listener.limits import Limits
from smtpd.listener.requests import Kind
from smtpd.listener.service import Service
from smtpd.models import AppPassword, Delivery, Message
from smtpd.submission.actions import revoke
from smtpd.submission.policy import Submission
from tests import certificates
from tests.aliases.makers import make_list
from tests.smtpd.listening import listening
from tests.smtpd.submission.makers import (
    FAR,
    MAIL,
    OLGA,
    SAM,
    make_domain,
    password_of,
)

pytestmark = pytest.mark.django_db(transaction=True)
LOGGED_OUT = b"5.7.1 The password sam@home.test logged in with is no longer good"
QUICK = Limits(grace_seconds=5, login_pause=0.0, error_pause=0.0)


@contextmanager
def mail_program(folder: Path, *, is_tls: bool = False) -> Iterator[smtplib.SMTP]:
    """Connected and encrypted, by STARTTLS or from the first octet."""
    pem = folder / "mx.pem"
    server = certificates.server_context(pem)
    trusting = ssl.create_default_context(cafile=str(pem))
    service = Service(Submission(), Kind.SUBMISSION, is_tls=is_tls)
    with listening(service, folder, limits=QUICK, tls_context=server) as running:
        if is_tls:
            with smtplib.SMTP_SSL("127.0.0.1", running.port, context=trusting) as smtp:
                yield smtp
            return
        with smtplib.SMTP("127.0.0.1", running.port) as smtp:
            smtp.starttls(context=trusting)
            yield smtp


@pytest.mark.parametrize("is_tls", [False, True])
def test_a_mail_program_writes_to_the_world(tmp_path: Path, is_tls: bool) -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    secret = password_of()
    with mail_program(tmp_path, is_tls=is_tls) as smtp:
        smtp.login(SAM, secret)
        assert smtp.sendmail("sam@lists.test", FAR, MAIL) == {}
    assert sorted(Delivery.objects.values_list("address", flat=True)) == sorted(FAR)
    message = Message.objects.get()
    assert (message.protocol, str(message.submitter)) == ("ESMTPSA", SAM)


def test_a_member_posts_as_themselves(tmp_path: Path) -> None:
    make_domain()
    make_list("talk@lists.test", SAM)
    secret = password_of()
    raw = MAIL.replace(b"sam@lists.test", SAM.encode())
    with mail_program(tmp_path) as smtp:
        smtp.login(SAM, secret)
        refused = smtp.sendmail(SAM, ["talk@lists.test", *FAR], raw)
    assert {code for code, _ in refused.values()} == {550}
    assert set(refused) == set(FAR)
    assert Post.objects.get().state == Post.State.ACCEPTED


def test_nobody_sends_without_logging_in(tmp_path: Path) -> None:
    make_domain()
    with mail_program(tmp_path) as smtp:
        smtp.ehlo()
        assert smtp.docmd("MAIL", f"FROM:<{SAM}>")[0] == 530
        with pytest.raises(smtplib.SMTPAuthenticationError) as caught:
            smtp.login(SAM, "wrong")
    assert (caught.value.smtp_code, caught.value.smtp_error[:5]) == (535, b"5.7.8")


def test_the_refusals_name_what_is_wrong(tmp_path: Path) -> None:
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    aliases.create("olga@lists.test", [OLGA])
    secret = password_of()
    with mail_program(tmp_path) as smtp:
        smtp.login(SAM, secret)
        assert smtp.mail("olga@lists.test") == (
            550,
            b"5.7.1 sam@home.test may not send as <olga@lists.test>",
        )
        with pytest.raises(smtplib.SMTPDataError) as caught:
            smtp.sendmail("sam@lists.test", FAR, MAIL.replace(b"sam@", b"olga@"))
    assert caught.value.smtp_code == 550
    assert b"author in From" in caught.value.smtp_error
    assert not Message.objects.exists()


def test_an_admin_may_ask_who_is_who(tmp_path: Path) -> None:
    make_domain(admin=SAM)
    make_list("talk@lists.test", SAM)
    secret = password_of()
    with mail_program(tmp_path) as smtp:
        smtp.ehlo()
        assert not smtp.has_extn("expn")
        smtp.login(SAM, secret)
        smtp.ehlo()
        assert smtp.has_extn("expn")
        assert smtp.expn("talk@lists.test")[0] == 250


@contextmanager
def sams_program(folder: Path) -> Iterator[smtplib.SMTP]:
    """Logged in, and good for sam@lists.test."""
    make_domain()
    aliases.create("sam@lists.test", [SAM])
    secret = password_of()
    with mail_program(folder) as smtp:
        smtp.login(SAM, secret)
        yield smtp


def test_a_password_taken_away_ends_what_it_opened(tmp_path: Path) -> None:
    with sams_program(tmp_path) as smtp:
        assert smtp.mail("sam@lists.test")[0] == 250
        assert smtp.rcpt(FAR[0])[0] == 250
        revoke(AppPassword.objects.get())
        assert smtp.data(MAIL) == (550, LOGGED_OUT)
        assert smtp.mail("sam@lists.test")[0] == 250
        assert smtp.rcpt(FAR[0]) == (550, LOGGED_OUT)
    assert not Message.objects.exists()


def test_who_was_made_inactive_sends_no_more(tmp_path: Path) -> None:
    with sams_program(tmp_path) as smtp:
        User.objects.update(is_active=False)
        smtp.mail("sam@lists.test")
        assert smtp.rcpt(FAR[0]) == (550, LOGGED_OUT)
