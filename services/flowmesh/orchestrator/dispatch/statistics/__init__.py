"""Statistics of workflows and queues: latencies, loads and sizes."""
