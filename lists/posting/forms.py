"""What a person writes to a list."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from lists.posting.writing import MAX_TEXT, Author
from smtpd import draft, fields

# Hints for the direction of writing: nobody sees them, no field needs them.
_MARKS = str.maketrans("", "", "\u200e\u200f")


class WriteForm(forms.Form):
    """`authors` are the mailboxes to choose from; with one there is no choice."""

    sender = forms.ChoiceField(label="From")
    subject = forms.CharField(label="Subject", max_length=200)
    text = forms.CharField(
        label="Message",
        max_length=MAX_TEXT,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 14, "class": "writing"}),
        error_messages={"max_length": "This is too long: attach it to a mail instead."},
    )

    def __init__(self, *args: Any, authors: list[Author], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.authors = {str(author.path): author for author in authors}
        if len(authors) == 1:
            del self.fields["sender"]
            return
        sender = self.fields["sender"]
        assert isinstance(sender, forms.ChoiceField)
        sender.choices = [(address, address) for address in self.authors]

    @property
    def author(self) -> Author:
        """Whom the message is from."""
        return self.authors[self.cleaned_data.get("sender") or next(iter(self.authors))]

    def clean_subject(self) -> str:
        subject = str(self.cleaned_data["subject"]).translate(_MARKS)
        _refuse(fields.control_in(subject))
        return subject

    def clean_text(self) -> str:
        text = str(self.cleaned_data["text"])
        if not text.strip():
            raise ValidationError("Write something first.", code="required")
        _refuse(draft.control_in(text))
        return text


def _refuse(character: str) -> None:
    if character:
        raise ValidationError(
            f"It has a control character (U+{ord(character):04X}), which no mail"
            " carries. Take it out: it is most likely invisible.",
            code="control",
        )
