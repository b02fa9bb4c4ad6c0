"""Live figures: snapshots of a running environment, and the rates, latencies and counts computed from them."""
