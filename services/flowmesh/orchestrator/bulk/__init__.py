"""Bulk operations: one action on every execution that a filter matches."""
