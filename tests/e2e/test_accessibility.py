"""Every main page, judged by axe-core: light and dark, desk and phone.

The browser also tells when a page breaks its Content-Security-Policy, and
whether a phone must scroll sideways.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page

from tests.e2e.conversation import mail, send
from tests.stack import Stack, free_port, start_stack, wait_until

pytestmark = pytest.mark.e2e

TALK = "/lists/talk@lists.localhost/"
STRANGERS = ("/", TALK, f"{TALK}asked/", "/accounts/login/", "/lists/none@x.test/")
OWNERS = (
    "/",
    TALK,
    f"{TALK}posts/",
    f"{TALK}write/",
    f"{TALK}members/",
    f"{TALK}members/add/",
    f"{TALK}members/import/",
    f"{TALK}moderation/",
    f"{TALK}settings/",
    f"{TALK}delete/",
    "/lists/new/",
    "/moderation/",
    "/subscriptions/",
    "/account/",
    "/aliases/",
    "/aliases/new/",
    "/domains/",
    "/domains/lists.localhost/keys/",
    "/queue/",
    "/waves/",
    "/mailbox/",
    "/messages/",
    "/explain/?address=talk@lists.localhost",
)
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}


@pytest.fixture(scope="module")
def site() -> Iterator[Stack]:
    """No worker: what is sent stays waiting, what is held stays held."""
    with start_stack(parts=("broker", "web", "smtpd")) as running:
        raw = mail("held", author="nick@elsewhere.test", subject="May I?")
        send(running, raw, ["talk@lists.localhost"], sender="nick@elsewhere.test")
        send(running, mail("accepted"), ["talk@lists.localhost"])
        held = "SELECT count(*) FROM lists_post WHERE state = 'held'"
        wait_until(lambda: running.count(held) == 1, 10, "a held post")
        yield running


@pytest.fixture(params=["light", "dark"])
def looks(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page whose console must stay silent."""
    context = browser.new_context(
        color_scheme=request.param, reduced_motion="reduce", locale="en"
    )
    page = context.new_page()
    said: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "404" not in message.text:
            said.append(f"{page.url}: {message.text}")

    page.on("console", note)
    yield page
    context.close()
    assert not said


def sign_in(site: Stack, page: Page) -> None:
    link = site.manage("signin", "olga@example.org").split()[-1]
    page.goto(link)
    page.locator("main").get_by_role("button").click()
    page.wait_for_url(f"{site.base_url}/")


def check(page: Page, url: str) -> list[str]:
    """What is wrong with a page, one line each."""
    page.goto(url)
    return judge(page)


def judge(page: Page) -> list[str]:
    """The same of the page that is open."""
    url = page.url
    found = Axe().run(page, options=RULES).response["violations"]
    wrong = [
        f"{url} {rule['id']}: {node['target']} {node.get('failureSummary', '')}"
        for rule in found
        for node in rule["nodes"]
    ]
    page.set_viewport_size({"width": 390, "height": 844})
    width = page.evaluate("document.documentElement.scrollWidth")
    page.set_viewport_size({"width": 1280, "height": 800})
    return [*wrong, *([f"{url} is {width} px wide on a phone"] if width > 390 else [])]


def test_pages_of_strangers_are_accessible(site: Stack, looks: Page) -> None:
    wrong = [line for path in STRANGERS for line in check(looks, site.base_url + path)]
    assert not wrong, "\n".join(wrong)


def test_pages_of_owners_are_accessible(site: Stack, looks: Page) -> None:
    sign_in(site, looks)
    post = site.count("SELECT id FROM lists_post WHERE state = 'held'")
    member = site.count("SELECT min(id) FROM lists_subscription WHERE role = 'member'")
    shown = site.count("SELECT id FROM lists_post WHERE state = 'accepted'")
    paths = (
        *OWNERS,
        f"{TALK}moderation/{post}/",
        f"{TALK}members/{member}/",
        f"{TALK}posts/{shown}/",
        f"{TALK}posts/{shown}/reply/",
    )
    wrong = [line for path in paths for line in check(looks, site.base_url + path)]
    assert not wrong, "\n".join(wrong)


@pytest.fixture(scope="module")
def stuck() -> Iterator[Stack]:
    """Copies in every state, a wave, keys of every kind; nothing moves any more."""
    with start_stack(relay=f"127.0.0.1:{free_port()}") as running:
        send(running, mail("stuck"), ["talk@lists.localhost"])
        resting = "SELECT count(*) FROM smtpd_destination WHERE failures > 0"
        wait_until(lambda: running.count(resting), 30, "the relay rests")
        running.kill("worker")
        ids = [n for (n,) in running.rows("SELECT id FROM smtpd_delivery ORDER BY id")]
        states = ("held", "quarantined", "failed")
        for pk, state in zip(ids, states, strict=False):
            running.execute(
                f"UPDATE smtpd_delivery SET state = '{state}', lease = NULL,"
                " code = 421, enhanced = '4.7.0', text = 'Too many messages',"
                f" failure = 'rate', host = 'mx.x.test' WHERE id = {pk}"
            )
        post = running.count("SELECT id FROM lists_post WHERE state = 'accepted'")
        running.execute(
            "INSERT INTO lists_wave"
            " (post_id, domain, failed, total, opened_at, decision)"
            f" VALUES ({post}, '', 12, 40, CURRENT_TIMESTAMP, ''),"
            " (NULL, 'x.test', 30, 31, CURRENT_TIMESTAMP, 'forgiven')"
        )
        for order in (
            ["--make", "ed25519"],
            ["--switch", "--force"],
            ["--make", "rsa"],
        ):
            running.manage("dkim", "lists.localhost", *order)
        yield running


def moved(site: Stack, page: Page) -> str:
    """The page of somebody who has moved away."""
    page.goto(f"{site.base_url}/aliases/new/moved/")
    name = f"gone-{page.evaluate('Date.now()')}"
    page.get_by_label("Old address").fill(name)
    page.get_by_label("New address").fill("gone@elsewhere.test")
    page.locator("main").get_by_role("button").last.click()
    return f"/aliases/{name}@lists.localhost/"


def test_pages_of_trouble_are_accessible(stuck: Stack, looks: Page) -> None:
    sign_in(stuck, looks)
    copy = stuck.count("SELECT max(id) FROM smtpd_delivery WHERE state = 'queued'")
    wave = stuck.count("SELECT min(id) FROM lists_wave")
    paths = [
        *(f"/queue/?state={s}" for s in ("any", "held", "quarantined", "failed")),
        "/queue/?destination=relay",
        "/queue/?q=nobody@x.test",
        f"/queue/copies/{copy}/",
        f"/waves/{wave}/",
        "/waves/",
        "/domains/lists.localhost/",
        "/domains/lists.localhost/keys/",
        "/aliases/new/moved/",
        (gone := moved(stuck, looks)),
        f"{gone}move/",
        "/aliases/",
    ]
    wrong = [line for path in paths for line in check(looks, stuck.base_url + path)]
    for name in ("Retry now…", "Hold…", "Fail…", "Drop…"):
        looks.goto(f"{stuck.base_url}/queue/copies/{copy}/")
        looks.get_by_role("button", name=name).click()
        looks.get_by_role("link", name="Leave as it is").wait_for()
        wrong += judge(looks)
    looks.goto(f"{stuck.base_url}/queue/?destination=relay")
    looks.get_by_role("button", name="Hold it…").click()
    wrong += judge(looks)
    assert not wrong, "\n".join(wrong)


def tab_to(page: Page, what: str) -> None:
    """Go on by keyboard until this has the focus."""
    for _ in range(200):
        page.keyboard.press("Tab")
        if page.locator(f"{what}:focus").count():
            return
    raise AssertionError(f"no Tab leads to {what}")


def test_orders_need_no_mouse_and_no_javascript(stuck: Stack, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(stuck, page)
    page.goto(f"{stuck.base_url}/queue/?state=quarantined")
    tab_to(page, "[name=whole]")
    page.keyboard.press("Space")
    tab_to(page, "button[value=drop]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/queue/act/")
    assert page.get_by_text("Nobody is told.").is_visible()
    tab_to(page, "main a:has-text('Leave as it is')")
    page.keyboard.press("Enter")
    page.wait_for_url("**/queue/?state=quarantined")
    assert page.get_by_label("1 that match").count() == 1
    context.close()


def test_the_menu_opens_on_a_phone_without_javascript(
    site: Stack, browser: Browser
) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, java_script_enabled=False
    )
    page = context.new_page()
    page.goto(f"{site.base_url}/")
    link = page.get_by_role("navigation", name="Main").get_by_role(
        "link", name="Sign in"
    )
    assert not link.is_visible()
    page.get_by_role("button", name="Menu").click()
    assert link.is_visible()
    context.close()
