"""JavaScript of users, parsed here and run only in child processes that can be killed."""
