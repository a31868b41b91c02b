"""What a fabric is, and every language it can be written in. No solver, no socket."""
