"""Settings, routes and the user: what ties the rooms together."""
