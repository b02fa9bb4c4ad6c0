"""The platform on AWS, in CDK for Terraform: `supporting` is what does not churn, `services` one stack per service."""
