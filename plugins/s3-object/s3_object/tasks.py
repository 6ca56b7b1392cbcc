"""The tasks `s3.put` and `s3.get`."""

import os
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import Session

from flowmesh.plugins import configuration
from flowmesh.sdk import NonRetryable

TEXT_BYTES_MAX = 1024 * 1024
# A bucket in the path of the URL, so each bucket has the one host that was granted.
_CONFIG = Config(
    s3={"addressing_style": "path"},
    ignore_configured_endpoint_urls=True,
    connect_timeout=10,
    read_timeout=20,
    retries={"max_attempts": 1},
)


def put(input: dict[str, Any]) -> dict[str, Any]:
    """Store `text` as the object `key`; return its ETag."""
    body = input["text"].encode()
    if len(body) > TEXT_BYTES_MAX:
        raise NonRetryable(f"text: more than {TEXT_BYTES_MAX >> 20} MiB")
    kind = input.get("contentType", "text/plain; charset=utf-8")
    answer = _called(input, "put_object", Key=input["key"], Body=body, ContentType=kind)
    return {"key": input["key"], "etag": answer["ETag"].strip('"'), "bytes": len(body)}


def get(input: dict[str, Any]) -> dict[str, Any]:
    """Return the text of the object `key`."""
    answer = _called(input, "get_object", Key=input["key"])
    body = answer["Body"].read(TEXT_BYTES_MAX + 1)
    if len(body) > TEXT_BYTES_MAX:
        raise NonRetryable(f"{input['key']}: more than {TEXT_BYTES_MAX >> 20} MiB")
    return {"key": input["key"], "text": body.decode(), "contentType": answer["ContentType"]}


def _called(input: dict[str, Any], method: str, **parameters: Any) -> Any:
    settings = configuration()
    # Neither files nor variables of the machine give it a key.
    nowhere = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
    session = Session(session_vars={**nowhere, "profile": (None, None, None, None)})
    session.set_credentials(settings["accessKey"], input["secretKey"])
    client = session.create_client(
        "s3", region_name=settings["region"], endpoint_url=settings["endpoint"], config=_CONFIG
    )
    try:
        return getattr(client, method)(Bucket=settings["bucket"], **parameters)
    except ClientError as error:
        text = f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
        if error.response["ResponseMetadata"]["HTTPStatusCode"] >= 500:
            raise RuntimeError(text) from None
        raise NonRetryable(text) from None
