"""Everything that is solved: sizing, building, and the proof that goes with it."""
