"""Events of webhooks of GitHub."""
