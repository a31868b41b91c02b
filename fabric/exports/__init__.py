"""Exports that only translate a fabric into somebody else's format."""
