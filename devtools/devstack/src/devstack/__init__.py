"""The whole platform on one machine, without Docker or an AWS account, with the production code path."""
