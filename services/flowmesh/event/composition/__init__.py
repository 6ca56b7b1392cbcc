"""The parts of the service, created with their loops."""
