"""Mail that comes back: read, classed, counted, and stopped in time.

A hard bounce is one point, a soft one half a point, at most once a day. At
the list's limit the subscription is suspended, never deleted, and its owner
gets a mail with a link that resumes it. What was refused for the message's
sake or for ours never counts against a member.
"""
