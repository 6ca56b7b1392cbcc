"""Signed links to decide approvals."""
