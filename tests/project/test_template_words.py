"""The small words of our templates, and how a form field is drawn."""

from __future__ import annotations

from typing import Any

import pytest
from django import forms
from django.template import Context, Template
from django.test import RequestFactory

from lists.models import Post
from project.templatetags.folkmoot import first_line, size
from smtpd.widgets import Choices


def draw(text: str, **context: Any) -> str:
    return Template("{% load folkmoot %}" + text).render(Context(context))


@pytest.mark.parametrize(
    ("octets", "said"),
    [(0, "0 B"), (999, "999 B"), (3100, "3.1 KB"), (2_000_000, "2.0 MB"), (None, "")],
)
def test_sizes_are_said_for_people(octets: int | None, said: str) -> None:
    assert size(octets) == said


def test_the_first_line_stands_for_a_description() -> None:
    assert first_line("\n Gardens \nand more") == "Gardens"


def test_a_badge_has_the_tone_of_its_state() -> None:
    held = draw('{% badge post "state" %}', post=Post(state="held"))
    assert held == '<span class="badge" data-tone="hold">Held</span>'
    assert "&lt;b&gt;" in draw("{% badge name %}", name="<b>")


def test_a_bar_shows_shares_of_the_whole() -> None:
    drawn = draw('{% bar 3 "good" 1 "bad" label="3 of 4" %}')
    assert 'x="0.000" width="75.000"' in drawn
    assert 'x="75.000" width="25.000"' in drawn
    assert 'aria-label="3 of 4"' in drawn
    assert "style" not in drawn


def test_a_bar_of_nothing_is_empty() -> None:
    assert 'width="0.000"' in draw('{% bar 0 "good" %}')


def test_another_page_keeps_the_filters() -> None:
    request = RequestFactory().get("/members/?q=a%26b&page=2")
    assert draw("{% page_link 3 %}", request=request) == "?q=a%26b&amp;page=3"


def test_the_way_back_escapes_names() -> None:
    drawn = draw('{% crumbs "Lists" "/" name "" %}', name="<i>")
    assert '<a href="/">Lists</a>' in drawn
    assert "<li>&lt;i&gt;</li>" in drawn


class Example(forms.Form):
    name = forms.CharField(help_text="As people call it.")
    kind = forms.ChoiceField(
        choices=(("a", "Alpha"), ("b", "Beta")), widget=Choices({"a": "The first."})
    )
    on = forms.BooleanField(required=False, help_text="What it does.")


def test_help_stands_between_label_and_control_and_names_it() -> None:
    drawn = Example()["name"].as_field_group()
    assert drawn.index("</label>") < drawn.index("As people") < drawn.index("<input")
    assert 'aria-describedby="id_name_helptext"' in drawn
    assert 'id="id_name_helptext"' in drawn


def test_a_mistake_is_marked_and_said() -> None:
    drawn = Example({"kind": "a"})["name"].as_field_group()
    assert "data-invalid" in drawn
    assert "This field is required" in drawn
    assert 'aria-invalid="true"' in drawn


def test_each_choice_says_what_it_does() -> None:
    drawn = Example({"kind": "b"})["kind"].as_field_group()
    assert drawn.count('type="radio"') == 2
    assert "<small>The first.</small>" in drawn
    assert drawn.index("Beta") > drawn.index('value="b" checked')
    assert "<fieldset" in drawn


def test_a_checkbox_has_its_label_behind_it() -> None:
    drawn = Example()["on"].as_field_group()
    assert drawn.index("<input") < drawn.index("<label")
