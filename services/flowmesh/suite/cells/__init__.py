"""Cells on one machine, and the commands on their directory."""
