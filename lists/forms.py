"""Making a list, and everything its owner decides about it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError

from lists.models import MailingList
from smtpd.models import Domain
from smtpd.widgets import Choices

MEGABYTE = 1_000_000
POSTERS = MailingList.Posters
OTHERS = MailingList.Others

# What each kind of list begins with; all of it can be changed later.
PRESETS: dict[str, dict[str, str]] = {
    "discussion": {"posters": POSTERS.MEMBERS, "others": OTHERS.HOLD},
    "announcement": {"posters": POSTERS.OWNERS, "others": OTHERS.REFUSE},
    "moderated": {"posters": POSTERS.OWNERS, "others": OTHERS.HOLD},
}


class CreateForm(forms.Form):
    kind = forms.ChoiceField(
        label="What kind of list is it?",
        choices=(
            ("discussion", "Discussion"),
            ("announcement", "Announcements"),
            ("moderated", "Moderated discussion"),
        ),
        initial="discussion",
        widget=Choices(
            {
                "discussion": "Members write to all members. Mail from strangers"
                " waits for a moderator.",
                "announcement": "Only owners and moderators write. Everybody else is"
                " told so by return.",
                "moderated": "Everybody may write. A moderator looks at each message"
                " before it goes out.",
            },
            tiles=True,
        ),
    )
    name = forms.CharField(
        label="Name",
        max_length=100,
        help_text="As people call it, such as Garden Club.",
    )
    local_part = forms.RegexField(
        r"^[^\W_][^\s@]*$",
        label="Address",
        max_length=50,
        help_text="People write to this address to reach everybody. It cannot be"
        " changed later. With letters beyond a to z, people on old mail systems"
        " cannot write to it or get its mail.",
        error_messages={
            "invalid": "Use letters, digits, dots, dashes and underscores; begin with"
            " a letter or digit."
        },
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    domain = forms.ModelChoiceField(
        Domain.objects.none(), label="Domain", empty_label=None
    )
    description = forms.CharField(
        label="Description",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it is about and who should join. The first line stands beside"
        " the name wherever lists are shown.",
    )
    is_public = forms.BooleanField(
        label="Show this list to everybody",
        required=False,
        initial=True,
        help_text="When off, strangers see no trace of it: its page answers them as"
        " if it did not exist.",
    )

    def __init__(
        self, *args: Any, user: AbstractBaseUser | AnonymousUser, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["domain"]
        if isinstance(field, forms.ModelChoiceField):
            field.queryset = Domain.objects.run_by(user).filter(is_active=True)

    def clean_description(self) -> str:
        return str(self.cleaned_data["description"]).strip()

    @property
    def address(self) -> str:
        return f"{self.cleaned_data['local_part']}@{self.cleaned_data['domain'].name}"

    @property
    def settings(self) -> dict[str, Any]:
        """What create_list is to set beside name and address."""
        chosen = PRESETS[self.cleaned_data["kind"]]
        return {
            **chosen,
            "description": self.cleaned_data["description"],
            "is_public": self.cleaned_data["is_public"],
        }


class SettingsForm(forms.ModelForm):  # type: ignore[type-arg] # not generic at run time
    max_megabytes = forms.IntegerField(
        label="Largest message, in megabytes",
        min_value=1,
        max_value=25,
        help_text="With attachments. A larger message is refused while its sender is"
        " still connected, so its author knows at once.",
    )
    bounce_days = forms.IntegerField(
        label="Days of failed delivery before a member is paused",
        min_value=1,
        max_value=60,
        help_text="When a member's server says on this many days that the address does"
        " not work, we stop sending to it. Nobody is removed: the member gets a mail"
        " with a link that starts it again.",
    )

    class Meta:
        model = MailingList
        fields = (
            "name",
            "description",
            "is_public",
            "joining",
            "posters",
            "others",
            "subject_prefix",
            "footer",
            "reply_to",
            "is_archived",
        )
        labels = {
            "is_public": "Show this list to everybody",
            "joining": "Who may join",
            "posters": "Who may write to the list",
            "others": "What happens to mail from everybody else",
            "subject_prefix": "Before the subject",
            "footer": "Under the text",
            "reply_to": "Where replies go",
            "is_archived": "Keep an archive",
        }
        help_texts = {
            "name": "Stands in the sender of our notices and on this site.",
            "description": "What it is about and who should join. The first line"
            " stands beside the name wherever lists are shown.",
            "is_public": "When off, strangers see no trace of it: its page answers"
            " them as if it did not exist. Members still see it.",
            "joining": "Applies to people who join from now on; nobody is removed.",
            "subject_prefix": "Such as [garden]. Left empty, the subject is not"
            " touched. Any change to a message breaks the signature of its author's"
            " server; most lists need none.",
            "footer": "Left empty, the text is not touched. Every copy carries an"
            " unsubscribe link in its header either way.",
            "is_archived": "Members can read earlier messages on this site, from the"
            " first one accepted after you switch it on.",
        }
        widgets = {
            "description": forms.Textarea(attrs={"rows": 4}),
            "footer": forms.Textarea(attrs={"rows": 4, "class": "mono"}),
            "joining": Choices(
                {
                    "open": "They get a mail and confirm that the address is theirs.",
                    "closed": "The signup form is hidden; owners add people.",
                }
            ),
            "posters": Choices(
                {
                    "members": "Everybody on the list, from the address they"
                    " subscribed with.",
                    "anyone": "No check of the sender. Expect spam.",
                    "owners": "An announcement list.",
                }
            ),
            "others": Choices(
                {
                    "hold": "It waits in the moderation queue; moderators get a mail.",
                    "refuse": "Their own server tells them at once why.",
                }
            ),
            "reply_to": Choices(
                {
                    "author": "A reply goes to the person who wrote, unless one"
                    " presses reply-all.",
                    "list": "A reply goes to everybody. Easy to talk, easy to say"
                    " too much.",
                }
            ),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["max_megabytes"] = max(1, self.instance.max_size // MEGABYTE)
        self.initial["bounce_days"] = max(1, self.instance.bounce_limit // 2)

    @property
    def settings(self) -> dict[str, Any]:
        """What update_list is to set."""
        own = {name: self.cleaned_data[name] for name in self._meta.fields or ()}
        return {
            **own,
            "max_size": self.cleaned_data["max_megabytes"] * MEGABYTE,
            "bounce_limit": self.cleaned_data["bounce_days"] * 2,
        }


class DeleteForm(forms.Form):
    address = forms.CharField(
        label="Type the list's address to delete it",
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "autocapitalize": "none", "class": "mono"}
        ),
    )

    def __init__(self, *args: Any, mlist: MailingList, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.expected = mlist.posting_address

    def clean_address(self) -> str:
        typed = str(self.cleaned_data["address"]).strip().lower()
        if typed != self.expected:
            raise ValidationError(f"This is not {self.expected}.", code="other")
        return typed
