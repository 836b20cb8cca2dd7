"""The doors for mail, in the order they are asked: a URLconf for addresses.

The last one has no address: by it people with an account write elsewhere.
"""

from aliases import inbound as aliases
from lists import inbound as lists
from smtpd.submission import relay

doors = {"lists": lists, "aliases": aliases, "relay": relay}
