"""Adapters of the ports over DynamoDB and SQS: one credential chain, one retry policy, one adapter per service."""
