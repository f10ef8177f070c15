"""One activity, and what caused it."""
