"""Live figures: what is read of a running environment at each look, and what it comes to."""
