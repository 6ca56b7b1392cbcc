"""`completion`: the script for completion of commands, options and values in a shell."""

import os
from pathlib import Path

from flowmesh.cli import exit_codes, output
from flowmesh.cli.arguments import Flag
from flowmesh.cli.common import COMMON, Common, command
from flowmesh.cli.completion.scripts import SCRIPTS, SHELLS, Shell
from flowmesh.cli.completion.scripts import install as install_script
from flowmesh.cli.refusals import Refused


@command
def completion(
    shell: Shell | None = None, /, *, install: Flag = False, common: Common = COMMON
) -> None:
    """Print the completion script of a shell, or install it for this user.

    Args:
        shell: bash, zsh or fish; the shell of $SHELL by default.
        install: Install the script in the folder that the shell reads, and print its path.
    """
    chosen = shell or _own_shell()
    if not install:
        script = SCRIPTS[chosen]
        output.source({"shell": chosen, "script": script}, script)
        return
    path = install_script(chosen)
    document = {"shell": chosen, "path": str(path)}
    output.result(document, f"installed {path}; open a new shell to use it")


def _own_shell() -> Shell:
    name = Path(os.environ.get("SHELL", "")).name
    for shell in SHELLS:
        if name == shell:
            return shell
    hint = f"name one of {', '.join(SHELLS)}"
    raise Refused(f"no completion for the shell $SHELL={name!r}", hint, exit_codes.USAGE)
