"""An admin sees a server that rests, holds it, tries again, and gives up."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page

from tests.e2e.conversation import mail, send
from tests.stack import Stack, free_port, start_stack, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def site() -> Iterator[Stack]:
    """Its relay does not answer."""
    with start_stack(relay=f"127.0.0.1:{free_port()}") as running:
        yield running


def order(page: Page, name: str, sure: str) -> None:
    page.get_by_label("that match").check()
    page.get_by_role("button", name=name).click()
    page.locator("main").get_by_role("button", name=sure).click()


def test_an_admin_gives_orders(site: Stack, page: Page) -> None:
    send(site, mail("stuck"), ["talk@lists.localhost"])
    resting = "SELECT count(*) FROM smtpd_destination WHERE backoff_until IS NOT NULL"
    wait_until(lambda: site.count(resting), 30, "the relay rests")
    link = site.manage("signin", "olga@example.org").split()[-1]
    page.goto(link)
    page.locator("main").get_by_role("button").click()
    page.wait_for_url(f"{site.base_url}/")

    page.goto(f"{site.base_url}/queue/?destination=relay")
    assert page.get_by_text("Resting").count() or page.get_by_text("Slowed").count()
    page.get_by_role("button", name="Hold it").click()
    assert page.get_by_text("Nothing goes to the relay any more").is_visible()
    page.locator("main").get_by_role("button", name="Hold").click()
    assert page.get_by_text("The relay is on hold.").is_visible()
    page.get_by_role("button", name="Release it").click()
    assert page.get_by_text("The relay is released.").is_visible()

    def count(state: str) -> int:
        rows = "SELECT count(*) FROM smtpd_delivery WHERE state = %s"
        return site.count(rows, state)

    # What a worker has in its hands is left alone: until none is.
    def hold_all() -> bool:
        page.goto(f"{site.base_url}/queue/?destination=relay")
        if count("queued"):
            order(page, "Hold…", "Hold")
        return not count("queued")

    wait_until(hold_all, 30, "all on hold")
    page.goto(f"{site.base_url}/queue/?destination=relay&state=held")
    assert count("held")
    order(page, "Fail…", "Fail and tell the senders")
    assert page.get_by_text("failed; the senders are told").is_visible()
    assert not count("held")
    page.goto(f"{site.base_url}/queue/?destination=relay&state=failed")
    order(page, "Retry now…", "Retry now")
    assert page.get_by_text("due now").first.is_visible()
    story = site.manage("trace", "<stuck@example.org>")
    assert "olga@example.org gave" in story
    assert "olga@example.org wanted" in story
