"""Addresses whose person is somewhere else now (RFC 5321 3.4).

Such an address is an alias that has moved: one new address instead of its
targets, which are kept for the day it moves back.
"""
