"""TLS of a process: its ports, its calls to other processes, and the renewal of certificates."""
