"""`identity init` and `identity token`: the key file of an installation, and bootstrap tokens."""

import time
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowmesh.cli import exit_codes, output
from flowmesh.cli.common import Written, command
from flowmesh.cli.refusals import Refused
from flowmesh.extras import needed_by

QUIET = Written()
KEY_FILE = Path(".flowmesh/installation.key")

KeyFile = Annotated[Path, Parameter(env_var="FLOWMESH_KEY_FILE")]


@command
def init(*, key_file: KeyFile = KEY_FILE, common: Written = QUIET) -> int:
    """Create the key file of an installation, and print a token for its first owner.

    Args:
        key_file: File to create; readable by its owner only. Every process of the installation
            needs it.
    """

    with needed_by("`flowmesh identity`", "server"):
        from flowmesh.access.keys import KeyFileError, create_key_file

    try:
        create_key_file(key_file)
    except KeyFileError as error:
        hint = "`flowmesh identity token` prints another token for an existing key file"
        raise Refused(str(error), hint, exit_codes.USAGE) from error
    return _print_token(key_file, common)


@command
def token(*, key_file: KeyFile = KEY_FILE, common: Written = QUIET) -> int:
    """Print a token that makes one user an owner of the installation, valid for an hour.

    Args:
        key_file: Key file of the installation.
    """
    return _print_token(key_file, common)


def _print_token(key_file: Path, common: Written) -> int:
    with needed_by("`flowmesh identity`", "server"):
        from flowmesh.access.bootstrap import LIFETIME_S, bootstrap_token
        from flowmesh.access.keys import KeyFileError, read_key_file

    try:
        keys = read_key_file(key_file)
    except KeyFileError as error:
        raise Refused(str(error), "", exit_codes.USAGE) from error
    made = bootstrap_token(keys.bootstrap, time.time_ns() // 1_000)
    if common.structured:
        output.document({"keyFile": str(key_file), "token": made, "validSeconds": LIFETIME_S})
        return exit_codes.DONE
    rows = [
        ("key file", str(key_file)),
        ("bootstrap token", made),
        ("valid for", f"{LIFETIME_S // 60} minutes, once"),
    ]
    output.columns(("", ""), rows)
    return exit_codes.DONE
