"""Logins at identity providers, and the providers themselves."""
