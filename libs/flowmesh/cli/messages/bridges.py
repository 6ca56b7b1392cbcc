"""`bridge`: run bridges between Flowmesh and other brokers."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flowmesh.cli import output
from flowmesh.cli.arguments import Flag
from flowmesh.cli.common import COMMON, Common, command, connected
from flowmesh.cli.refusals import Refused

FileArgument = Annotated[Path, Parameter(help="YAML file with `bridges`.")]


@command
async def bridge(file: FileArgument, /, *, check: Flag = False, common: Common = COMMON) -> None:
    """Run the bridges of a file until interrupted; a bridge whose source ends is done.

    Args:
        check: Check the file only.
    """
    from flowmesh.connectors import ConnectorError
    from flowmesh.connectors.bridges import read_bridges, run_bridges

    try:
        bridges = read_bridges(file)
        if not check:
            async with connected(common) as client:
                await run_bridges(bridges, client)
    except ConnectorError as error:
        raise Refused(str(error)) from error
    names = [each.name for each in bridges]
    output.result({"bridges": names}, f"{len(names)} bridges {'are valid' if check else 'ended'}")
