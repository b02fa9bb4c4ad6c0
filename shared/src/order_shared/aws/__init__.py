"""Adapters for DynamoDB and SQS: one credential chain, one retry policy, one adapter per service."""
