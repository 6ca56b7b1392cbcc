"""The operator: resources of a Kubernetes cluster become definitions of the suite."""
