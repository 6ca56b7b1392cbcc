"""Clients of AWS with the keys of a document, and no credentials of this machine."""

import os
from collections.abc import Mapping
from typing import Any

from flowmesh.contract.json_value import Json
from flowmesh.errors import Invalid
from flowmesh.extras import needed_by

KEYS = ("accessKeyId", "secretAccessKey")


def check_keys(kind: str, config: Mapping[str, Json]) -> None:
    """Raise Invalid for a module without keys of its own."""
    if not all(config.get(each) for each in KEYS):
        text = f"{kind} needs {' and '.join(KEYS)}; keys of this machine are not used"
        raise Invalid("APP_CONFIG_INVALID", text)


def aws_client(kind: str, service: str, config: Mapping[str, Json], **options: Json) -> Any:
    """Return the client of a service for a module type; `options` are those of botocore.

    Neither files nor variables nor the metadata service of this machine give it a key.
    """
    with needed_by(kind, "apps"):
        from botocore.config import Config
        from botocore.session import Session

    # Name in a file, variable, default, conversion.
    nowhere = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    session = Session(session_vars={**nowhere, "profile": (None, None, None, None)})
    session.set_credentials(*(str(config[each]) for each in KEYS))
    return session.create_client(
        service,
        region_name=str(config["region"]),
        endpoint_url=str(config.get("endpoint") or "") or None,
        config=Config(ignore_configured_endpoint_urls=True, **options),
    )
