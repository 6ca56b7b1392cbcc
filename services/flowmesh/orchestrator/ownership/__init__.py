"""The lease of this process, its partitions, and the owners of the others."""
