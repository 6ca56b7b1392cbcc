"""The Model Context Protocol: routes of the REST API as tools, resources and prompts."""
