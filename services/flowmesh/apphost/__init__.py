"""The application host: versioned releases of applications, each in a process of its own."""
