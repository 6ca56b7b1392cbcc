"""Routes about agents, their specs, policies, decisions and quotas."""
