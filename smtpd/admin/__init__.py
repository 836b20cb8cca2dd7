"""The mail server for the site's admins: domains to edit, the rest to read.

What happened to mail is a ledger: nobody edits it here, and nobody is shown
raw bytes. Deliveries can be stopped, retried and withdrawn by the queue's
verbs. Lists and aliases are made on their own pages, each with its address.
"""

from smtpd.admin.domains import DomainAdmin, DomainForm
from smtpd.admin.mail import MessageAdmin
from smtpd.admin.passwords import AppPasswordAdmin
from smtpd.admin.queue import DeliveryAdmin
from smtpd.admin.reading import ReadOnlyAdmin

__all__ = [
    "AppPasswordAdmin",
    "DeliveryAdmin",
    "DomainAdmin",
    "DomainForm",
    "MessageAdmin",
    "ReadOnlyAdmin",
]
