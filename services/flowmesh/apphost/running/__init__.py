"""The running applications: their processes, sockets, files and logs."""
