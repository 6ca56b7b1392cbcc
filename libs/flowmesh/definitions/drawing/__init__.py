"""Drawings of workflows: SVG, Mermaid, DOT, and JSON with positions."""

from flowmesh.definitions.drawing.draw import DRAWINGS, MEDIA_TYPES, draw

__all__ = ["DRAWINGS", "MEDIA_TYPES", "draw"]
