from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from smtpd.models import Delivery, Destination, Domain, Message, Outgoing
from tests.people import signed_in

pytestmark = pytest.mark.django_db


def make_delivery(
    to: str = "sam@x.test", *, at: str = "talk@lists.test", state: str = "queued"
) -> Delivery:
    message = Message.objects.create(
        size=1, sha256="", body_at=0, raw=b"", forward_paths=[at], subject="Party"
    )
    outgoing = Outgoing.objects.create(
        message=message, lane=Outgoing.Lane.BULK, envelope="fixed", head=b""
    )
    now = timezone.now()
    return Delivery.objects.create(
        outgoing=outgoing,
        address=to,
        destination="relay",
        lane=1,
        state=state,
        next_attempt_at=now,
        updated_at=now,
    )


def state_of(row: Delivery) -> str:
    return Delivery.objects.get(pk=row.pk).state


@pytest.fixture
def olga() -> Client:
    return signed_in("olga@x.test", runs=Domain.objects.create(name="lists.test"))


@pytest.fixture
def site() -> Client:
    return signed_in("root@x.test", admin=True)


def act(client: Client, do: str, *rows: Delivery, **more: str) -> None:
    data = {"do": do, "pick": [row.pk for row in rows], **more}
    assert client.post("/queue/act/", data).status_code in {200, 302}


@pytest.mark.parametrize("path", ["/queue/", "/queue/numbers/"])
def test_only_operators_see_the_queue(path: str, olga: Client, site: Client) -> None:
    assert olga.get(path).status_code == site.get(path).status_code == 200
    assert signed_in("nick@x.test").get(path).status_code == 404
    assert Client().get(path).status_code == 302


def test_a_domain_admin_sees_what_came_to_their_domain(olga: Client) -> None:
    make_delivery("mine@x.test")
    make_delivery("other@x.test", at="talk@xlists.test")
    page = olga.get("/queue/").content.decode()
    assert "mine@x.test" in page
    assert "other@x.test" not in page


def test_the_page_counts_by_state_and_lane(site: Client) -> None:
    for state in ("queued", "queued", "held", "failed", "sent"):
        make_delivery(state=state)
    context = site.get("/queue/").context
    assert context["by_state"] == {
        "queued": 2,
        "held": 1,
        "quarantined": 0,
        "failed": 1,
    }
    assert (context["fast"], context["bulk"]) == (0, 2)


def test_trouble_of_a_destination_is_shown(site: Client) -> None:
    Destination.objects.create(name="relay", failures=2, last_failure="421 full")
    make_delivery()
    assert "421 full" in site.get("/queue/numbers/").content.decode()


def test_filters_by_state_destination_and_word(site: Client) -> None:
    Destination.objects.create(name="relay")
    waiting, held = make_delivery(), make_delivery("nick@x.test", state="held")

    def shown(query: str) -> list[Delivery]:
        return list(site.get(f"/queue/?{query}").context["page"])

    assert shown("") == shown("state=nonsense") == [waiting]
    assert shown("state=held&destination=relay") == [held]
    assert shown("state=any&q=nick") == [held]
    assert shown(f"state=any&q={held.outgoing.message.key}") == [held]


def test_hold_and_retry_what_was_picked(olga: Client) -> None:
    picked, left = make_delivery(), make_delivery()
    act(olga, "hold", picked)
    assert (state_of(picked), state_of(left)) == ("held", "queued")
    act(olga, "retry", picked)
    assert state_of(picked) == "queued"


def test_cancelling_asks_first(olga: Client) -> None:
    row = make_delivery()
    act(olga, "cancel", row)
    assert state_of(row) == "queued"
    act(olga, "cancel", row, sure="1")
    assert state_of(row) == "cancelled"


def test_all_of_a_message_at_once(olga: Client) -> None:
    row = make_delivery()
    act(olga, "hold", message=row.outgoing.message.key)
    assert state_of(row) == "held"


def test_rows_of_other_domains_are_out_of_reach(olga: Client) -> None:
    row = make_delivery(at="talk@other.test")
    act(olga, "hold", row)
    act(olga, "cancel", message=row.outgoing.message.key, sure="1")
    assert state_of(row) == "queued"
    nick = signed_in("nick@x.test")
    assert nick.post("/queue/act/", {"do": "hold", "pick": row.pk}).status_code == 404


def test_acting_needs_a_post_and_something_picked(olga: Client) -> None:
    row = make_delivery()
    assert olga.get("/queue/act/?do=hold").status_code == 405
    answer = olga.post("/queue/act/", {"do": "hold"}, follow=True)
    assert "Nothing was selected" in answer.content.decode()
    assert state_of(row) == "queued"


def test_the_way_back_never_leaves_the_site(olga: Client) -> None:
    row = make_delivery()
    data = {"do": "hold", "pick": row.pk, "back": "https://evil.test/"}
    assert olga.post("/queue/act/", data).headers["Location"] == "/queue/"
    data["back"] = "/queue/?state=held"
    assert olga.post("/queue/act/", data).headers["Location"] == "/queue/?state=held"
