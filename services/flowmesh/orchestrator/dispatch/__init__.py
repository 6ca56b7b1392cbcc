"""Ready tasks on their way to worker services, and their leases."""
