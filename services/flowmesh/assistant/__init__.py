"""Drafts of workflows from prompts, checked and rehearsed before anybody sees them."""
