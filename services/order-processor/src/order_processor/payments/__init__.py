"""Taking a customer's money for an order, once, and giving it back."""
