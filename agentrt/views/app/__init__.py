"""The page: its bar, tabs, address and window."""
