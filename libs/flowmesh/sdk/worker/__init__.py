"""Workers: task handlers that run as tasks arrive over one stream to a worker service."""
