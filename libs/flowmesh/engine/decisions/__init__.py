"""Decisions on commands: functions over a step that emit events and effects."""
