from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from smtpd.models import Delivery, Destination, Domain, Message, Outgoing
from smtpd.queue.orders import hold_destination
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
    overview = site.get("/queue/").context["overview"]
    assert overview.by_state == {"queued": 2, "held": 1, "quarantined": 0}
    assert (overview.failed, overview.fast) == (1, 0)


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


def test_an_order_says_first_what_it_touches(olga: Client) -> None:
    row = make_delivery()
    answer = olga.post("/queue/act/", {"do": "fail", "pick": row.pk})
    page = answer.content.decode()
    assert "This fails 1 copy for the relay and tells its senders." in page
    assert state_of(row) == "queued"
    sure = {"do": "fail", "pick": row.pk, "sure": "1"}
    done = olga.post("/queue/act/", sure, follow=True).content.decode()
    assert "1 copy failed; the senders are told." in done
    assert state_of(row) == "failed"
    again = olga.post("/queue/act/", sure, follow=True).content.decode()
    assert "Nothing was changed" in again


def test_hold_and_release_what_was_picked(olga: Client) -> None:
    picked, left = make_delivery(), make_delivery()
    act(olga, "hold", picked, sure="1")
    assert (state_of(picked), state_of(left)) == ("held", "queued")
    act(olga, "release", picked, sure="1")
    assert state_of(picked) == "queued"


def test_all_of_a_message_at_once(olga: Client) -> None:
    row = make_delivery()
    act(olga, "hold", message=row.outgoing.message.key, sure="1")
    assert state_of(row) == "held"


def test_all_that_a_filter_shows(site: Client) -> None:
    one, two = make_delivery("a@x.test"), make_delivery("b@y.test")
    act(site, "drop", whole="1", filter="q=x.test", sure="1")
    assert (state_of(one), state_of(two)) == ("cancelled", "queued")
    act(site, "drop", whole="1", filter="to=talk@other.test", sure="1")
    assert state_of(two) == "queued"
    act(site, "drop", whole="1", filter="to=talk@lists.test", sure="1")
    assert state_of(two) == "cancelled"


def test_a_destination_is_held_and_released_by_the_site_only(
    olga: Client, site: Client
) -> None:
    make_delivery()
    hold = {"do": "hold", "host": "relay", "sure": "1"}
    assert olga.post("/queue/act/", hold).status_code == 404
    asked = site.post("/queue/act/", {**hold, "sure": ""}).content.decode()
    assert "Nothing goes to the relay any more" in asked
    assert not Destination.objects.exclude(held_at=None)
    site.post("/queue/act/", hold)
    page = site.get("/queue/?destination=relay").content.decode()
    assert "by root@x.test" in page
    assert "Release it" in page
    site.post("/queue/act/", {"do": "release", "host": "relay"})
    assert not Destination.objects.exclude(held_at=None)


def test_its_limits_are_a_click_away_for_who_may_set_them(site: Client) -> None:
    def shown() -> str:
        return site.get("/queue/?destination=x.test").content.decode()

    new = "/admin/smtpd/destination/add/?name=x.test"
    assert f'<a href="{new}">Set limits' in shown()
    assert 'value="x.test"' in site.get(new).content.decode()
    host = Destination.objects.create(name="x.test", most_copies=1000, period=3600)
    page = shown()
    assert "At most 1,000 recipients an hour." in page
    change = f"/admin/smtpd/destination/{host.pk}/change/"
    assert f'<a href="{change}">Change its limits' in page
    assert site.get(change).status_code == 200
    get_user_model().objects.update(is_staff=False)
    assert "/admin/smtpd" not in shown()


def test_one_recipient_has_a_page(olga: Client) -> None:
    mine, other = make_delivery("mine@x.test"), make_delivery(at="talk@other.test")
    Delivery.objects.update(code=451, enhanced="4.7.1", text="try later", attempts=2)
    page = olga.get(f"/queue/copies/{mine.pk}/").content.decode()
    assert "try later" in page
    assert "mine@x.test" in page
    assert olga.get(f"/queue/copies/{other.pk}/").status_code == 404


def test_reasons_are_grouped_by_destination(site: Client) -> None:
    for _ in range(3):
        make_delivery()
    Delivery.objects.update(code=421, enhanced="4.7.0", text="try later")
    page = site.get("/queue/numbers/").content.decode()
    assert "3 ×" in page
    assert "421 4.7.0 try later" in page


@pytest.mark.parametrize("state", ["queued", "held", "quarantined", "failed", "any"])
def test_an_empty_queue_says_something_useful(site: Client, state: str) -> None:
    assert "</h3>" in site.get(f"/queue/?state={state}").content.decode()
    assert "No such copies" in site.get(f"/queue/?state={state}&q=x").content.decode()


def test_rows_of_other_domains_are_out_of_reach(olga: Client) -> None:
    row = make_delivery(at="talk@other.test")
    act(olga, "hold", row, sure="1")
    act(olga, "drop", message=row.outgoing.message.key, sure="1")
    act(olga, "drop", whole="1", filter="state=any", sure="1")
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
    data = {"do": "hold", "pick": row.pk, "back": "https://evil.test/", "sure": "1"}
    assert olga.post("/queue/act/", data).headers["Location"] == "/queue/"
    data["back"] = "/queue/?state=held"
    assert olga.post("/queue/act/", data).headers["Location"] == "/queue/?state=held"


def test_a_rest_of_the_destination_is_when_a_copy_is_tried(site: Client) -> None:
    row = make_delivery()
    until = timezone.now() + timedelta(hours=3, seconds=30)
    host = Destination.objects.create(name="relay", failures=1, backoff_until=until)
    pages = ("/queue/", f"/queue/copies/{row.pk}/")
    for path in pages:
        shown = site.get(path).content.decode()
        assert "in 3\xa0hours</time>" in shown
        assert "due now" not in shown
    hold_destination("relay", "root@x.test")
    for path in pages:
        assert "when its server is released" in site.get(path).content.decode()
    host.delete()
    assert "due now" in site.get(pages[0]).content.decode()


def test_what_is_due_and_rests_is_asked_again(site: Client) -> None:
    row = make_delivery()
    until = timezone.now() + timedelta(hours=3)
    Destination.objects.create(name="relay", failures=1, backoff_until=until)
    told = {"do": "retry", "pick": row.pk}
    asked = site.post("/queue/act/", told).content.decode()
    assert "Retry the relay?" in asked
    assert "These are due already: this asks the relay at once." in asked
    done = site.post("/queue/act/", told | {"sure": "1"}, follow=True)
    assert "1 server that rested is asked now." in done.content.decode()
    assert "Nothing was changed" not in done.content.decode()
    assert Destination.objects.get().backoff_until is None
    again = site.post("/queue/act/", told).content.decode()
    assert "This changes nothing" in again
    assert 'name="do"' not in again


def test_what_waits_and_rests_is_said_to_be_asked(site: Client) -> None:
    row = make_delivery()
    until = timezone.now() + timedelta(hours=3)
    Delivery.objects.update(next_attempt_at=until)
    Destination.objects.create(name="relay", failures=1, backoff_until=until)
    asked = site.post("/queue/act/", {"do": "retry", "pick": row.pk}).content.decode()
    assert "Retry 1 copy?" in asked
    assert "Asked at once, though they rest: the relay." in asked
