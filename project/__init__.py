"""Settings, routes and the user: what ties the rooms together.

Nothing is imported here: the supervisor lives in this package and must stay small.
"""
