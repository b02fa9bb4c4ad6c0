"""The Lab: place orders, break parts of the local stack, and see that no order is lost or doubled."""
