"""The messages of a project that moves to another cell: exported here, imported there."""
