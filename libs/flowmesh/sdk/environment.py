"""What a client takes from the environment where its code names nothing, as the command does."""

import os

DEFAULT_ADDRESS = "127.0.0.1:7450"
DEFAULT_NAMESPACE = "default"


def address_or_default(address: str) -> str:
    return address or os.environ.get("FLOWMESH_ADDRESS") or DEFAULT_ADDRESS


def namespace_or_default(namespace: str) -> str:
    return namespace or os.environ.get("FLOWMESH_NAMESPACE") or DEFAULT_NAMESPACE


def actor_or_default(actor: str) -> str:
    return actor or os.environ.get("FLOWMESH_ACTOR") or ""
