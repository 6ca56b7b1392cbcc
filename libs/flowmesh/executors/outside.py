"""Whom tasks call beside HTTP services, and the executors that call them."""

from dataclasses import dataclass

from flowmesh.executors.base import Executor
from flowmesh.executors.database import database_executor
from flowmesh.executors.databases import Databases
from flowmesh.executors.http.answers import NowUs
from flowmesh.executors.publish import Publisher, publish_executor
from flowmesh.executors.rpc import Caller
from flowmesh.executors.unary import unary_executor


@dataclass(frozen=True, slots=True)
class Outside:
    """Who is at the other end; a dry run puts itself there."""

    databases: Databases
    caller: Caller
    publisher: Publisher


def outside_executors(outside: Outside, now_us: NowUs) -> dict[str, Executor]:
    database = database_executor(outside.databases, now_us)
    return {
        "db.query": database,
        "db.exec": database,
        "grpc.call": unary_executor(outside.caller, now_us),
        "publish": publish_executor(outside.publisher, now_us),
    }
