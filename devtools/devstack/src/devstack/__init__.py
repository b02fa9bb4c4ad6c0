"""Local stack: the whole platform on one machine, with the production code and without Docker or an AWS account."""
