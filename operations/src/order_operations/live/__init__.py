"""Live figures: snapshots of a running environment, and the figures computed from them."""
