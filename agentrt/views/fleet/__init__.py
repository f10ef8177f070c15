"""The first page: all runtimes."""
