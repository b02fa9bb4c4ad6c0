"""What the order services must agree on: the domain, the stored items and the messages."""
