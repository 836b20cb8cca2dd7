"""A moderator decides about a held post; whoever comes second changes nothing."""
