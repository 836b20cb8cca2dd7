"""Tells a Postfix in front of us what RCPT here would say.

So that it refuses unknown recipients itself, in our words, instead of taking
their mail and sending bounces. Switched on by LOOKUP_BIND. It answers whoever
can reach it: it belongs on loopback or a private network.
"""
