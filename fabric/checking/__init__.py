"""The checks of a plan, one file a subject; ``fabric.checks`` lists them."""
