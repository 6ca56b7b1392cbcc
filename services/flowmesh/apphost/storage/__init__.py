"""Applications and releases as rows."""
