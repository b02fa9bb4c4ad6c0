"""Public web pages, below `/pages/`, with the kit `order_pages`: they need no token and no JavaScript."""
