"""Webhook endpoints of a tenant: settings, verification, secrets, deliveries."""
