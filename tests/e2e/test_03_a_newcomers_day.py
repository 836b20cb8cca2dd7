"""A newcomer in a browser: sign up, confirm, post, read, leave."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conversation import arrived, is_quiet, mail, send
from tests.stack import Stack, wait_until

pytestmark = pytest.mark.e2e
NINA = "nina@newcomers.test"


def to_nina(stack: Stack) -> list[str]:
    return [copy.raw.decode() for copy in arrived(stack) if copy.forward_path == NINA]


def test_signup_confirm_post_copy_one_click_gone(stack: Stack, page: Page) -> None:
    page.goto(f"{stack.base_url}/")
    page.get_by_role("link", name=re.compile("talk", re.IGNORECASE)).first.click()
    page.get_by_label(re.compile("mail", re.IGNORECASE)).first.fill(NINA)
    page.get_by_role("button", name=re.compile("join", re.IGNORECASE)).first.click()
    expect(page.locator("main")).to_contain_text(re.compile("check|mail", re.I))

    wait_until(lambda: to_nina(stack), 20, "confirmation")
    [asked] = to_nina(stack)
    link = re.search(rf"{re.escape(stack.base_url)}/confirm/\S+", asked)
    assert link
    page.goto(link[0])
    page.locator("main").get_by_role("button").first.click()
    expect(page.locator("main")).to_be_visible()

    raw = mail("nina", author=NINA, subject="From a newcomer")
    assert not send(stack, raw, ["talk@lists.localhost"], sender=NINA)
    wait_until(
        lambda: any("From a newcomer" in text for text in to_nina(stack)), 20, "copy"
    )
    [copy] = [
        c
        for c in arrived(stack)
        if c.forward_path == NINA and b"From a newcomer" in c.raw
    ]
    page.goto(copy.one_click)
    page.locator("main").get_by_role("button").first.click()
    expect(page.locator("main")).to_be_visible()
    before = len(to_nina(stack))

    assert not send(stack, mail("after"), ["talk@lists.localhost"])
    wait_until(lambda: is_quiet(stack), 30)
    assert arrived(stack, "after")
    assert len(to_nina(stack)) == before
