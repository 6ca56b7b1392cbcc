"""Agents of the fleet, from a program."""
