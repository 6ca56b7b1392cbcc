"""The task `kafka.publish`."""

import asyncio
import json
import re
import ssl
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from flowmesh.plugins import configuration
from flowmesh.sdk import NonRetryable, TaskContext

TIMEOUT_S = 20.0
MESSAGE_BYTES_MAX = 1_000_000
# A client asks for any other topic until its time is up.
TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")


async def publish(input: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    """Publish `value` to `topic`, with a `key` and `headers`; return partition and offset.

    A value that is no text is written as JSON. Attempts of one task have the same header
    `flowmesh-idempotency-key`, by which readers find repeated ones.
    """
    if not TOPIC.fullmatch(str(input["topic"])):
        raise NonRetryable(f"topic: {str(input['topic'])[:80]!r} is no name of a topic")
    value = input["value"] if isinstance(input["value"], str) else json.dumps(input["value"])
    body = value.encode()
    if len(body) > MESSAGE_BYTES_MAX:
        raise NonRetryable(f"value: more than {MESSAGE_BYTES_MAX:,} bytes")
    key = str(input["key"]).encode() if "key" in input else None
    named = {**input.get("headers", {}), "flowmesh-idempotency-key": context.idempotency_key}
    headers = [(name, str(each).encode()) for name, each in named.items()]
    producer = AIOKafkaProducer(
        acks="all", enable_idempotence=True, **options(input.get("password", ""))
    )
    try:
        async with asyncio.timeout(TIMEOUT_S):
            await producer.start()
            sent = await producer.send_and_wait(input["topic"], body, key=key, headers=headers)
    except (AssertionError, TypeError, ValueError) as error:
        raise NonRetryable(f"the message is wrong: {error}") from None
    except KafkaError as error:
        text = f"{type(error).__name__}: {error}"
        raise RuntimeError(text) if error.retriable else NonRetryable(text) from None
    except TimeoutError:
        text = f"no broker took the message within {TIMEOUT_S:.0f} s"
        raise RuntimeError(text) from None
    finally:
        await producer.stop()
    return {"topic": sent.topic, "partition": sent.partition, "offset": sent.offset}


def options(password: str) -> dict[str, Any]:
    """Return the options of a client."""
    settings = configuration()
    tls = settings["security"] == "tls"
    found: dict[str, Any] = {
        "bootstrap_servers": settings["brokers"],
        "security_protocol": ("SASL_" if settings["mechanism"] else "")
        + ("SSL" if tls else "PLAINTEXT"),
        "request_timeout_ms": int(TIMEOUT_S * 1_000),
    }
    if tls:
        found["ssl_context"] = ssl.create_default_context()
    if settings["mechanism"]:
        found |= {
            "sasl_mechanism": settings["mechanism"],
            "sasl_plain_username": settings["user"],
            "sasl_plain_password": password,
        }
    return found


async def self_test() -> None:
    """Raise if no broker answers; a login needs the password, which only tasks have."""
    if configuration()["mechanism"]:
        return
    client = AIOKafkaClient(**options(""))
    try:
        async with asyncio.timeout(TIMEOUT_S / 2):
            await client.bootstrap()
    finally:
        await client.close()
