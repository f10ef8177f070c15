"""Two runs side by side: a fork and its origin, a replay and its record."""
