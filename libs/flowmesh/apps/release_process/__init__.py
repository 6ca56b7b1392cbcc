"""Applications in a process of a host: the process, and its conversation with the host."""
