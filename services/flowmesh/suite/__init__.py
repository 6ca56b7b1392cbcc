"""The whole suite as commands: `flowmesh dev`, `serve` and `cluster`."""
