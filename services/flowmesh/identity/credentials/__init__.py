"""Formats, signatures and digests of credentials. No database."""
