"""The refusal of a call that would exceed a quota."""

from flowmesh.errors import Overloaded


def quota_exceeded(quota: str, limit: int, used: int) -> Overloaded:
    text = f"the quota {quota} of the project is {limit:,}; {used:,} are in use"
    return Overloaded("QUOTA_EXCEEDED", text)
