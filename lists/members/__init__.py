"""What owners do with the people on their list.

Joining and leaving by the people themselves is in lists.subscriptions, and so
are the verbs for one member; here are those for many, and the pages.
"""
