"""The tables of the lists, in reading order."""

from lists.models.mailing_list import MailingList
from lists.models.subscriber import Subscriber
from lists.models.subscription import Subscription
from lists.models.request import Request
from lists.models.post import Post
from lists.models.wave import Wave
from lists.models.bounce import Bounce
from lists.models.member_import import MemberImport

__all__ = [
    "Bounce",
    "MailingList",
    "MemberImport",
    "Post",
    "Request",
    "Subscriber",
    "Subscription",
    "Wave",
]
