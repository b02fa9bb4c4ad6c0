"""The operator's and developer's command line of the order platform."""
