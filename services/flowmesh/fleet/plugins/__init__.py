"""Plugins of namespaces, which run as agents behind walls."""
