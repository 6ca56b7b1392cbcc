"""ARNs in the Amazon States Language: state machines, functions, and services called by tasks.

Deployment tools replace placeholders such as `${OrderFunctionArn}`; here the name of a placeholder
is used as its value.
"""

import re

_MACHINE = re.compile(r"arn:aws[\w-]*:states:[\w-]*:\w*:stateMachine:([^:]+)(?::([^:]+))?\Z")
_FUNCTION = re.compile(
    r"(?:(?:arn:aws[\w-]*:lambda:[\w-]*:)?\w*:function:)?([\w.-]+)(?::([\w$.-]+))?\Z", re.ASCII
)
_PLACEHOLDER = re.compile(r"\$\{(?:AWS::)?(\w+)(?:\.(?:Arn|Name))?\}", re.ASCII)
# A placeholder in the first part of an ARN stands for the partition, whatever its name.
_PARTITION = re.compile(r"\barn:\$\{[\w:.-]+\}(?=:)", re.ASCII)


def without_placeholders(text: str) -> str:
    """Return the text with each placeholder replaced by its name."""
    return _PLACEHOLDER.sub(r"\1", _PARTITION.sub("arn:aws", text))


def machine_of(arn: str) -> tuple[str, str]:
    """Return the name of a state machine from an ARN or a plain name, and its version or alias."""
    name = without_placeholders(arn)
    match = _MACHINE.match(name)
    return (match[1], match[2] or "") if match is not None else (name, "")


def function_of(arn: str) -> tuple[str, str] | None:
    """Return the name of a function from an ARN, a partial ARN or a name, and its qualifier.

    None if the text names no function.
    """
    match = _FUNCTION.match(without_placeholders(arn))
    return (match[1], match[2] or "") if match is not None else None
