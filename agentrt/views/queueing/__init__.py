"""Queueing theory beside what was measured."""
