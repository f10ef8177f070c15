"""The served dashboard: who gets in, what is served, which managers there are."""
