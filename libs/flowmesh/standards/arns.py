"""ARNs of the Amazon States Language that name state machines."""

import re

_MACHINE = re.compile(r"arn:aws[\w-]*:states:[\w-]*:\w*:stateMachine:([^:]+)(?::([^:]+))?\Z")


def machine_of(arn: str) -> tuple[str, str]:
    """The name of the state machine that an ARN or a plain name names, and its version or alias."""
    match = _MACHINE.match(arn)
    return (match[1], match[2] or "") if match is not None else (arn, "")
