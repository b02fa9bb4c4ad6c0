"""Generated documents. `make docs` writes them; no service imports this package."""
