"""agentrt compared with the peers that are installed: `python -m benchmarks --help`."""
