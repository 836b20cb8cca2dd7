"""What owners say about members."""

from __future__ import annotations

from typing import Any

from django import forms

from lists.models import Subscription
from smtpd.widgets import Choices

MAX_FILE = 10_000_000

STATES = (
    ("", "Any state"),
    ("receiving", "Getting each message"),
    ("digest", "Digest"),
    ("none", "No mail"),
    ("paused", "Paused by themselves or an owner"),
    ("bouncing", "Stopped because mail came back"),
)


class FilterForm(forms.Form):
    """Which members are shown. Every field may be empty."""

    q = forms.CharField(required=False, label="Search")
    role = forms.ChoiceField(
        required=False,
        label="Role",
        choices=[("", "Any role"), *Subscription.Role.choices],
    )
    state = forms.ChoiceField(required=False, label="State", choices=STATES)


class AddForm(forms.Form):
    address = forms.CharField(
        label="E-mail address",
        max_length=320,
        widget=forms.EmailInput(attrs={"autocomplete": "off"}),
    )
    name = forms.CharField(label="Name", max_length=100, required=False)
    role = forms.ChoiceField(
        label="Role",
        choices=Subscription.Role,
        initial=Subscription.Role.MEMBER,
        widget=Choices(
            {
                "member": "Gets mail and writes as the list's rules say.",
                "moderator": "Also reads held mail and decides about it.",
                "owner": "Also changes settings and members.",
            }
        ),
    )


class MemberForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    class Meta:
        model = Subscription
        fields = ("role", "mode", "posting")
        labels = {
            "role": "Role",
            "mode": "Mail from this list",
            "posting": "Messages from this member",
        }
        widgets = {
            "role": Choices(
                {
                    "member": "Gets mail and writes as the list's rules say.",
                    "moderator": "Also reads held mail and decides about it.",
                    "owner": "Also changes settings and members.",
                }
            ),
            "posting": Choices(
                {
                    "default": "Nothing special about this person.",
                    "allowed": "Never waits for a moderator.",
                    "held": "Every message waits for a moderator.",
                }
            ),
        }


class ImportForm(forms.Form):
    text = forms.CharField(
        label="Addresses",
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 8, "class": "mono", "spellcheck": "false"}
        ),
        help_text="One on each line, with or without a name: sam@example.org,"
        " Sam Reed &lt;sam@example.org&gt;, or columns from a spreadsheet.",
    )
    file = forms.FileField(
        label="Or a file",
        required=False,
        help_text="CSV or plain text in UTF-8, at most 10 MB.",
        widget=forms.FileInput(attrs={"accept": ".csv,.txt,text/csv,text/plain"}),
    )

    def clean_file(self) -> str:
        upload = self.cleaned_data["file"]
        if not upload:
            return ""
        if upload.size > MAX_FILE:
            raise forms.ValidationError("The file is larger than 10 MB.", code="size")
        try:
            return str(upload.read().decode("utf-8-sig"))
        except UnicodeDecodeError:
            raise forms.ValidationError(
                "The file is not UTF-8. Save it as CSV UTF-8 and try again.",
                code="encoding",
            ) from None

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        if not self.errors and not self.people.strip():
            raise forms.ValidationError(
                "Paste addresses or choose a file.", code="empty"
            )
        return cleaned

    @property
    def people(self) -> str:
        """What was pasted and what was uploaded, one below the other."""
        pasted, file = self.cleaned_data["text"], self.cleaned_data["file"]
        return f"{pasted}\n{file}" if pasted and file else pasted or file
