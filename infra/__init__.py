"""The platform on AWS, in CDK for Terraform.

The app `supporting` has the long-lived resources, and the app `services` has one stack for each service.
"""
