"""Takes orders over HTTP. An order is durable in DynamoDB before the answer."""
