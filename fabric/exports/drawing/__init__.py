"""What a drawing is made of: a canvas that measures text, colours, and the facts of a network as counted."""
