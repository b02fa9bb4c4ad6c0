"""The platform on AWS, in CDK for Terraform: `supporting` has long-lived resources, `services` a stack per service."""
