"""The whole suite as a person starts it: `flowmesh dev`, `serve` and `cluster`."""
