"""The domains we answer for: taking one in, its key, its records in DNS."""
