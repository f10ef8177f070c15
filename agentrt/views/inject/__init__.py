"""Sending activities by hand."""
