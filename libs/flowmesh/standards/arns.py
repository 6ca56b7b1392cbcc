"""ARNs of the Amazon States Language: state machines, functions and the services that tasks call.

Deployment tools fill placeholders such as `${OrderFunctionArn}` in; the name in a placeholder
stands for what it would be filled with.
"""

import re

_MACHINE = re.compile(r"arn:aws[\w-]*:states:[\w-]*:\w*:stateMachine:([^:]+)(?::([^:]+))?\Z")
_FUNCTION = re.compile(
    r"(?:(?:arn:aws[\w-]*:lambda:[\w-]*:)?\w*:function:)?([\w.-]+)(?::([\w$.-]+))?\Z", re.ASCII
)
_PLACEHOLDER = re.compile(r"\$\{(?:AWS::)?(\w+)(?:\.(?:Arn|Name))?\}", re.ASCII)
_PARTITION = "${AWS::Partition}"


def without_placeholders(text: str) -> str:
    """The text with the name of each placeholder in its place."""
    return _PLACEHOLDER.sub(r"\1", text.replace(_PARTITION, "aws"))


def machine_of(arn: str) -> tuple[str, str]:
    """The name of the state machine that an ARN or a plain name names, and its version or alias."""
    name = without_placeholders(arn)
    match = _MACHINE.match(name)
    return (match[1], match[2] or "") if match is not None else (name, "")


def function_of(arn: str) -> tuple[str, str] | None:
    """The name of the function that an ARN, a partial ARN or a name names, and its qualifier.

    None where it names no function.
    """
    match = _FUNCTION.match(without_placeholders(arn))
    return (match[1], match[2] or "") if match is not None else None
