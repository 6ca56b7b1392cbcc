"""Plugins: wheels with a manifest and a signature, catalogues of them, and the process of one.

A plugin reads its settings by `configuration()`. The fleet runs each plugin as agents behind
walls, and `host` is the program of these agents.
"""

from flowmesh.plugins.settings import configuration

__all__ = ["configuration"]
