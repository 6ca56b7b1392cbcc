"""The wrapping keys of the settings."""

from contextlib import AsyncExitStack

from flowmesh.access.keys import OPEN_KEYS
from flowmesh.extras import ExtraMissing
from flowmesh.identity.wrapping.addresses import AddressInvalid, open_key
from flowmesh.identity.wrapping.keys import FileKey, WrappingKey
from flowmesh.identity.wrapping.wrapping import Wrapping
from flowmesh.runtime import Runtime, StartError
from flowmesh.runtime.settings.types import split


async def open_wrapping(runtime: Runtime, stack: AsyncExitStack) -> Wrapping:
    """Return the wrapping key and the former ones, of which the key file is always one.

    `stack` closes their connections. Raises StartError for settings that cannot be honoured.
    """
    settings = runtime.settings
    file: WrappingKey = FileKey((runtime.keys or OPEN_KEYS).wrapping)
    named = [settings.wrapping_key] if settings.wrapping_key else []
    former = split(settings.wrapping_keys_former)
    if (named or former) and runtime.keys is None:
        raise StartError("FLOWMESH_WRAPPING_KEY: an open installation encrypts nothing")
    try:
        keys = [await open_key(each, stack) for each in (*named, *former)]
    except (AddressInvalid, ExtraMissing) as error:
        raise StartError(f"FLOWMESH_WRAPPING_KEY: {error}") from error
    every = [*keys, file] if named else [file, *keys]
    wrapping = Wrapping(
        every[0],
        every[1:],
        kept_s=settings.wrapping_kept_seconds,
        now_us=runtime.clock.now_us,
        metrics=runtime.metrics,
    )

    async def usable() -> None:
        wrapping.check()

    runtime.add_check("wrapping_key", usable)
    return wrapping
