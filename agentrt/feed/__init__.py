"""Sources: what every view is drawn from, wherever the runtimes are."""
