"""The whole platform on one machine: no Docker, no AWS account, the same code path."""
