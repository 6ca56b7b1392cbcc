"""The suite open, closed and encrypted side by side, to measure what each costs."""

import asyncio
import json
import os
import secrets
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc.aio

from benchmarks.figures import Results
from benchmarks.processes import Child, module
from benchmarks.suite.system import NAME, READY, dev
from benchmarks.system import Setup, running
from benchmarks.workloads import Sizes
from flowmesh.access.bootstrap import bootstrap_token
from flowmesh.access.keys import create_key_file, read_key_file
from flowmesh.api.identity.v1 import auth_service_pb2, encryption_service_pb2, key_service_pb2
from flowmesh.api.identity.v1.auth_service_pb2_grpc import AuthServiceStub
from flowmesh.api.identity.v1.encryption_service_pb2_grpc import EncryptionServiceStub
from flowmesh.api.identity.v1.key_service_pb2_grpc import KeyServiceStub

WORKLOAD = "closed"
MODES = ("open", "closed", "encrypted")
PROJECT = "prj_default"
KEYS_READ_S = 4.0
TURNS = 8
"""The number of alternations, so that a drift of speed affects both equally."""


class Closed:
    """Measures W1 of `flowmesh dev` open, closed, and closed with an encrypted project, in turn."""

    def __init__(self, sizes: Sizes) -> None:
        self._sizes = sizes

    async def measure(self, folder: Path, workloads: Sequence[str], results: Results) -> None:
        if WORKLOAD not in workloads:
            return
        async with AsyncExitStack() as stack:
            setups = {mode: await self._setup(stack, folder / mode, mode) for mode in MODES}
            took_s = dict.fromkeys(MODES, 0.0)
            cpu_s = dict.fromkeys(MODES, 0.0)
            count = self._sizes.w1 * 2 // TURNS
            for turn in range(TURNS):
                # In turns, as the first run is the faster one.
                for mode, setup in sorted(setups.items(), reverse=bool(turn % 2)):
                    done = await setup.quietest("W1", count=count)
                    took_s[mode] += count / done.metrics["workflows_per_s"]
                    cpu_s[mode] += sum(done.cpu_s.values())
        rates = {f"{mode}_per_s": TURNS * count / each for mode, each in took_s.items()}
        overhead = {
            "cpu_overhead_percent": (cpu_s["closed"] / cpu_s["open"] - 1) * 100,
            "encrypted_cpu_overhead_percent": (cpu_s["encrypted"] / cpu_s["closed"] - 1) * 100,
        }
        results.add(NAME, WORKLOAD, rates | overhead)

    async def _setup(self, stack: AsyncExitStack, folder: Path, mode: str) -> Setup:
        await asyncio.to_thread(folder.mkdir)
        key_file = folder / "key"
        create_key_file(key_file)
        auth = "open" if mode == "open" else "closed"
        server = dev(folder, "--auth", auth, "--key-file", str(key_file))
        await stack.enter_async_context(running(server))
        await server.start(READY)
        address = str(json.loads((folder / "data" / "dev.json").read_text())["grpc"])
        key = "" if mode == "open" else await _api_key(address, key_file)
        environment = {**os.environ, "FLOWMESH_API_KEY": key} if key else None
        worker, client = (
            Child(role, module(f"benchmarks.suite.{role}", address), folder / role, environment)
            for role in ("worker", "client")
        )
        for child in (worker, client):
            await stack.enter_async_context(running(child))
            await child.start()
        if mode == "encrypted":
            # Processes read the keys every two seconds.
            await _encrypt(address, key)
            await asyncio.sleep(KEYS_READ_S)
        await client.request("define", fan_outs=[], chains=[])
        await client.request("warm", workload="W1")
        return Setup(Results(), self._sizes.patience_s, server=server, worker=worker, client=client)


async def _encrypt(address: str, key: str) -> None:
    """Require the encryption of the project of a key."""
    async with grpc.aio.insecure_channel(address) as channel:
        encryption: Any = EncryptionServiceStub(channel)
        request = encryption_service_pb2.RequireEncryptionRequest(namespace="default")
        await encryption.RequireEncryption(request, metadata=(("authorization", f"Bearer {key}"),))


async def _api_key(address: str, key_file: Path) -> str:
    """Register the owner of an installation; return an API key of its default project."""
    token = bootstrap_token(read_key_file(key_file).bootstrap, time.time_ns() // 1_000)
    async with grpc.aio.insecure_channel(address) as channel:
        auth: Any = AuthServiceStub(channel)
        owner = await auth.Bootstrap(
            auth_service_pb2.BootstrapRequest(
                token=token, email="owner@example.com", password=secrets.token_hex()
            )
        )
        sent = (("authorization", f"Bearer {owner.tokens.access_token}"),)
        keys: Any = KeyServiceStub(channel)
        request = key_service_pb2.CreateApiKeyRequest(project_id=PROJECT, name="load", role="admin")
        made = await keys.CreateApiKey(request, metadata=sent)
        return str(made.secret)
