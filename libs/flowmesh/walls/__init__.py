"""Walls around a process that runs the work of strangers: files, processes, calls, connections.

The modules `enter`, `warden`, `view`, `landlock`, `calls` and `kernel` import only the standard
library and each other: they run in an isolated interpreter between fork and exec.
"""
