"""Work on applications without running them: checks, reports, documents, tests."""
