"""HTTP API that accepts orders and stores each one durably in DynamoDB before it responds."""
