"""Mailing lists: subscriptions, posting, moderation, delivery, bounces."""
