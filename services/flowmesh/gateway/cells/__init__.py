"""The gateway as a front of all cells: calls for a project of another cell are forwarded to it."""
