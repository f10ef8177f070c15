"""The hot path and what serves it: private to agentrt."""
