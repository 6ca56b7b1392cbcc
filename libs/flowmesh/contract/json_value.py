"""JSON values."""

from typing import Any

Json = Any
"""A JSON value: None, bool, int, float, str, list or dict with string keys.

`Any`, since a recursive type would need a cast at every read of a member.
"""

SEALED = "$sealed"
"""The member of a value that clients and workers have sealed end to end."""
