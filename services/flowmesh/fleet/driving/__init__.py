"""The processes of agents: their supervisor, walls, folders and credentials."""
