"""The registry service: instances of services, and their health."""
