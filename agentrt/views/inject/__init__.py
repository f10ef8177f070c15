"""Sending activities from a page."""
