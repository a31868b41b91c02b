"""How fast each host's rail is while it is active, beside its neighbours."""
