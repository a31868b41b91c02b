"""What ``fabric.failures`` is made of: a network as arrays, what can fail, and what is left when it does."""
