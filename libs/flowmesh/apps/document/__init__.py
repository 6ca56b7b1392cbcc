"""Documents of applications: text to typed parts, with a place for every finding."""
