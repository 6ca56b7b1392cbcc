"""Routes about hosted applications and the types of their modules."""
