"""Badges, bars and links that keep their page: small words of our templates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django import forms, template
from django.db.models import Model
from django.forms.boundfield import BoundField
from django.http import HttpRequest
from django.template import Context
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from smtpd.progress import apart
from smtpd.selection import MOST

register = template.Library()

# What a state means to somebody who looks for trouble.
TONES = {
    "sent": "good",
    "accepted": "good",
    "done": "good",
    "queued": "wait",
    "waiting": "wait",
    "running": "wait",
    "held": "hold",
    "quarantined": "hold",
    "suspended": "hold",
    "failed": "bad",
    "rejected": "bad",
    "refused": "bad",
    "hard": "bad",
    "complaint": "bad",
    "soft": "hold",
    "owner": "accent",
    "moderator": "accent",
}


@register.filter
def tone(state: str) -> str:
    """The colour family of a state."""
    return TONES.get(str(state), "")


@register.simple_tag
def badge(thing: Model | str, field: str = "", *, tone: str = "") -> SafeString:
    """`{% badge post "state" %}`, or `{% badge "Private" tone="hold" %}`."""
    if isinstance(thing, Model):
        value = str(getattr(thing, field))
        label = getattr(thing, f"get_{field}_display")()
        tone = tone or TONES.get(value, "")
    else:
        label = thing
    return format_html('<span class="badge" data-tone="{}">{}</span>', tone, label)


@register.simple_tag
def bar(*parts: int | str, label: str = "") -> SafeString:
    """`{% bar 90 "good" 8 "wait" 2 "bad" label="90 sent..." %}`: shares of a whole.

    An SVG, because our pages may not carry style attributes.
    """
    numbers = [int(part or 0) for part in parts[::2]]
    whole = sum(numbers) or 1
    pieces: list[tuple[str, str, str]] = []
    at = 0.0
    for number, name in zip(numbers, parts[1::2], strict=True):
        width = 100 * number / whole
        pieces.append((f"{at:.3f}", f"{width:.3f}", str(name)))
        at += width
    return format_html(
        '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" role="img"'
        ' aria-label="{}">{}</svg>',
        label,
        format_html_join(
            "", '<rect x="{}" width="{}" height="1" data-tone="{}"></rect>', pieces
        ),
    )


@register.filter
def bounded(count: int) -> str:
    """What `smtpd.selection.bounded` counted: 312, or `over 10,000`."""
    return f"over {MOST:,}" if count > MOST else f"{count:,}"


@register.simple_tag(takes_context=True)
def page_link(context: Context, number: int) -> str:
    """The address of another page of what is shown, its filters kept."""
    request: HttpRequest = context["request"]
    query = request.GET.copy()
    query["page"] = str(number)
    return f"?{query.urlencode()}"


@register.simple_tag(takes_context=True)
def here(context: Context, *prefixes: str) -> SafeString | str:
    """`aria-current` when the page lies under one of these paths."""
    request: HttpRequest | None = context.get("request")
    path = request.path if request else ""
    if any(path == p if p == "/" else path.startswith(p) for p in prefixes if p):
        return SafeString('aria-current="page"')
    return ""


@register.simple_tag
def widget_kind(field: BoundField) -> str:
    """`check` for a single checkbox, whose label stands behind it."""
    return "check" if isinstance(field.field.widget, forms.CheckboxInput) else ""


@register.filter
def first_line(text: str) -> str:
    """What stands beside a name where there is room for one line."""
    return text.strip().partition("\n")[0].strip()


@register.filter
def get(mapping: Mapping[Any, Any], key: object) -> object:
    """`{{ progress|get:post.outgoing_id }}`: a mapping's value, or nothing."""
    return mapping.get(key)


@register.filter
def size(octets: int | None) -> str:
    """A size people can read: 812 B, 3.1 KB, 2.0 MB."""
    if octets is None:
        return ""
    if octets < 1000:
        return f"{octets} B"
    if octets < 1_000_000:
        return f"{octets / 1000:.1f} KB"
    return f"{octets / 1_000_000:.1f} MB"


@register.filter("apart")
def apart_from(moment: datetime | None, other: datetime | None = None) -> str:
    """`{{ row.created_at|apart:now }}`: how long it is between two moments."""
    return apart(moment, other or timezone.now()) if moment else ""


@register.simple_tag
def crumbs(*pairs: str) -> SafeString:
    """`{% crumbs "Lists" "/" list.name url "Members" "" %}`: the way back."""
    steps: Iterable[Sequence[str]] = zip(pairs[::2], pairs[1::2], strict=True)
    items = format_html_join(
        "",
        "<li>{}</li>",
        (
            (format_html('<a href="{}">{}</a>', url, name) if url else name,)
            for name, url in steps
        ),
    )
    return format_html(
        '<nav class="crumbs" aria-label="Where you are"><ol>{}</ol></nav>', items
    )
