"""What a moderator decides."""

from __future__ import annotations

from django import forms


class DecisionForm(forms.Form):
    """Which button was pressed, and what the author is told."""

    decision = forms.ChoiceField(
        choices=(("approve", ""), ("reject", ""), ("discard", ""))
    )
    reason = forms.CharField(
        label="Reason, if you reject it",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3, "data-key": "r"}),
        help_text="The author gets a mail with these words and your list's address,"
        " not your name.",
    )


class BulkForm(DecisionForm):
    posts = forms.TypedMultipleChoiceField(coerce=int, choices=())

    def __init__(self, *args: object, held: list[int], **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # Form's own
        field = self.fields["posts"]
        if isinstance(field, forms.TypedMultipleChoiceField):
            field.choices = [(pk, pk) for pk in held]
