"""Clients of others in Node, installed by their lock into build/."""
