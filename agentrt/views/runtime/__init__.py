"""The page of one runtime."""
