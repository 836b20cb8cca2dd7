"""A member writes on the list's page: everybody gets a copy, as of any mail."""

from __future__ import annotations

import email.utils
import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conversation import arrived, is_quiet, public_key, verifies
from tests.stack import Stack, wait_until

pytestmark = pytest.mark.e2e
SENDER = "olga@example.org"
TALK = "/lists/talk@lists.localhost/"


def sign_in(stack: Stack, page: Page) -> None:
    page.goto(stack.manage("signin", SENDER).split()[-1])
    page.locator("main").get_by_role("button").click()
    page.wait_for_url(f"{stack.base_url}/")


def test_a_page_becomes_everybodys_copy(stack: Stack, browser: Browser) -> None:
    """By the keyboard, without JavaScript."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(stack, page)
    page.goto(f"{stack.base_url}{TALK}")
    page.get_by_role("link", name="Write to the list").press("Enter")
    page.get_by_label("Subject").focus()
    page.keyboard.type("Grüße")
    page.keyboard.press("Tab")
    page.keyboard.type("Good morning.\n.a line with a dot\nFrom here")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_contain_text("on its way")
    context.close()

    wait_until(lambda: is_quiet(stack), 30, "copies")
    copies = [copy for copy in arrived(stack) if b"via HTTP" in copy.raw]
    members = stack.count(
        "SELECT count(*) FROM lists_subscription s JOIN lists_mailinglist m"
        " ON m.id = s.mailing_list_id JOIN smtpd_address a ON a.id = m.address_id"
        " WHERE a.local_part = 'talk' AND s.mode = 'each' AND s.suspended_by = ''"
    )
    assert len({copy.forward_path for copy in copies}) == len(copies) == members
    record = public_key(stack)
    key = "SELECT key FROM smtpd_message WHERE source = 'web'"
    [[name]] = stack.rows(key)
    for copy in copies:
        assert copy.reverse_path.startswith("bounces+")
        assert copy.header("List-Id").endswith("<talk.lists.localhost>")
        assert email.utils.parseaddr(copy.header("From"))[1] == SENDER
        assert re.search(
            r"by mx\.folkmoot\.test \(Folkmoot, via HTTP\) id (\S+)",
            copy.header("Received"),
        )
        assert f" id {name}" in copy.header("Received")
        assert copy.header("Message-ID").endswith("@lists.localhost>")
        assert copy.header("Date")
        assert copy.header("MIME-Version") == "1.0"
        assert copy.raw.endswith(
            b"Good morning.\r\n.a line with a dot\r\n From here\r\n"
        )
        assert verifies(copy, record)
    assert f"Written on the web by {SENDER}" in stack.manage("trace", name)
