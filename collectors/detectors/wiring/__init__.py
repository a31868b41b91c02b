"""Cables as they are against the plan: which ends are in wrong places, and the fewest moves that put them right.

One move is re-plugging one cable end. A *socket* takes one plug: it is a connector of a cage, whose ports (several with
a breakout cable) move together. Cables between the same two switches are interchangeable, cables of hosts are not.

1. ``names``, ``lldp``, ``ibnet``: who says that its neighbour is who, in the plan's ids (``claims.Claims``);
2. ``claims``: the links that both ends, or the only one that speaks, agree on;
3. ``cables``: the cables with a link that the plan does not have;
4. ``matching``: which planned cable each of them should be, at the least moves;
5. ``moves``, ``patterns``: from where to where, and what that is called.
"""
