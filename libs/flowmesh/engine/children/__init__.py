"""Nodes that wait: for a child execution, for a joined execution, or for a signal with a key."""
