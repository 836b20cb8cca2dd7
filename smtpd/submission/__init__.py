"""Mail from people with an account (RFC 6409): who they are, what they may send.

A mail program logs in with an app password, sends only as its owner, and may
write to anybody if its owner has an address on this site.
"""
