"""The doors for mail, in the order they are asked: a URLconf for addresses."""

from aliases import inbound as aliases
from lists import inbound as lists

doors = {"lists": lists, "aliases": aliases}
