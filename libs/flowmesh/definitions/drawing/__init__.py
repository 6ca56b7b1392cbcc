"""Workflows as drawings: SVG, Mermaid, DOT, and JSON with the places of everything."""

from flowmesh.definitions.drawing.draw import DRAWINGS, MEDIA_TYPES, draw

__all__ = ["DRAWINGS", "MEDIA_TYPES", "draw"]
