"""Commands on agents of the fleet: specs, agents, policies, decisions and quotas."""
