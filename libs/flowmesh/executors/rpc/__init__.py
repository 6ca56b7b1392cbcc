"""Unary gRPC calls to services known from reflection or from a descriptor set."""

from flowmesh.executors.rpc.calls import Caller, Rpc, RpcAnswer, Target
from flowmesh.executors.rpc.channels import Channels

__all__ = ["Caller", "Channels", "Rpc", "RpcAnswer", "Target"]
