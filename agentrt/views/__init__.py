"""Live views of runtimes: in a cell, served, and under `panel serve`. Import what you show from its module."""
