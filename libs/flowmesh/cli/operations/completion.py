"""`completion`: the script that completes commands and options in a shell."""

import os
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import COMMON, Common, guarded
from flowmesh.cli.refusals import Refused

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = ("bash", "zsh", "fish")


def completion(
    shell: Shell | None = None,
    /,
    *,
    install: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> int:
    """Print the completion script of a shell, or install it for this user.

    Parameters
    ----------
    shell
        bash, zsh or fish; without it the one of $SHELL.
    install
        Put it where the shell finds it, and say where that is.
    """
    return guarded(common, lambda: _completion(shell or _own_shell(), install, common))


def _completion(shell: Shell, install: bool, common: Common) -> int:
    from flowmesh.cli import app

    if not install:
        script = app.generate_completion(shell=shell)
        if common.structured:
            output.document({"shell": shell, "script": script})
        else:
            output.line(script)
        return exit_codes.DONE
    path = app.install_completion(shell=shell)
    if common.structured:
        output.document({"shell": shell, "path": str(path)})
    else:
        output.line(f"installed {path}; open a new shell to use it")
    return exit_codes.DONE


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    for shell in SHELLS:
        if name == shell:
            return shell
    hint = f"say one of {', '.join(SHELLS)}"
    raise Refused(f"cannot tell the shell from $SHELL={name!r}", hint, exit_codes.USAGE)
