"""Apps and Infrastructure: what the operator runs in the cluster itself."""
