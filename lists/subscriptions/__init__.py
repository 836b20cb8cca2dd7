"""Joining and leaving, by web, by mail and by owners.

Nobody joins without proof that the address is theirs, unless an owner adds
them; everybody leaves at once with the link in any copy. Whoever asks learns
nothing about who is on a list, and nobody can make us fill another's mailbox.
"""
