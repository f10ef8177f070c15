"""What ran and what waited, over time."""
