"""What connects agents to other packages: monitoring, tracing, and agents that were written for something else.

Each module is for one package, is imported by its own name, and imports that package when it is used.
"""
