"""Returned mails as servers write them."""

from __future__ import annotations


def dsn(
    *recipients: str,
    kind: str = "message/delivery-status",
    report_type: str = "delivery-status",
) -> bytes:
    """An RFC 3464 report; each recipient is its block of fields."""
    blocks = "\r\n\r\n".join(["Reporting-MTA: dns; mx.y.test", *recipients])
    return (
        "From: MAILER-DAEMON@mx.y.test\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        "MIME-Version: 1.0\r\n"
        f"Content-Type: multipart/report; report-type={report_type}; boundary=b\r\n"
        "\r\n--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        f"--b\r\nContent-Type: {kind}\r\n\r\n{blocks}\r\n\r\n"
        "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: hi\r\n\r\nHello\r\n"
        "--b--\r\n"
    ).encode()


def block(action: str = "failed", status: str = "5.1.1", diagnostic: str = "") -> str:
    lines = ["Final-Recipient: rfc822; sam@people.test"]
    lines += [f"Action: {action}"] if action else []
    lines += [f"Status: {status}"] if status else []
    lines += [f"Diagnostic-Code: smtp; {diagnostic}"] if diagnostic else []
    return "\r\n".join(lines)


UNKNOWN_USER = dsn(block(diagnostic="550 5.1.1 <sam@people.test>: user unknown"))


def arf(kind: str = "abuse") -> bytes:
    """An RFC 5965 report with the address taken out, as providers do."""
    return (
        "From: feedback@provider.test\r\nSubject: FW: hi\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n"
        "\r\n--b\r\nContent-Type: text/plain\r\n\r\nAn abuse report.\r\n"
        "--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        f"Feedback-Type: {kind}\r\nUser-Agent: SomeGenerator/1.0\r\nVersion: 1\r\n\r\n"
        "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: hi\r\n\r\nHello\r\n"
        "--b--\r\n"
    ).encode()


VACATION = (
    b"From: sam@people.test\r\nSubject: Out of office\r\n"
    b"Auto-Submitted: auto-replied\r\n\r\nI am away until 5.1.1970, room 550.\r\n"
)
