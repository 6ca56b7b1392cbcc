"""Dynamic components: Python of users in confined processes, with contracts and reloads."""
