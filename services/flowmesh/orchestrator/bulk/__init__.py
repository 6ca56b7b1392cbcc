"""One action on every execution that a filter matches."""
