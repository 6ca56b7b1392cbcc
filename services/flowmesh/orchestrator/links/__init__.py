"""Signed links by which people decide approvals."""
