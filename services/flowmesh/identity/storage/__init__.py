"""Rows of the identity service, each store by its subject."""
