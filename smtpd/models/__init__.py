"""The tables of the mail server, in the order a message meets them."""

from smtpd.models.domain import Domain
from smtpd.models.signing_key import SigningKey
from smtpd.models.address import Address
from smtpd.models.message import Message
from smtpd.models.event import Event
from smtpd.models.outgoing import Outgoing
from smtpd.models.delivery import Delivery
from smtpd.models.report import Report
from smtpd.models.destination import Destination
from smtpd.models.pace import Pace
from smtpd.models.copy import Copy
from smtpd.models.app_password import AppPassword

__all__ = [
    "Address",
    "AppPassword",
    "Copy",
    "Delivery",
    "Destination",
    "Domain",
    "Event",
    "Message",
    "Outgoing",
    "Pace",
    "Report",
    "SigningKey",
]
