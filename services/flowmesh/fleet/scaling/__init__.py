"""The count of agents: a pure function of a policy, of its memory and of what is seen."""
