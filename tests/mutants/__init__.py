"""Small faults put into the core on purpose, to see that the tests notice: `python -m tests.mutants`."""
