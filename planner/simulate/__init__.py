"""The flow simulator."""
