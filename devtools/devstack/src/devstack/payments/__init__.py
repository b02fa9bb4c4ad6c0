"""The local payment sandbox: the part of Stripe's HTTP API that the processor uses, in memory.

`python -m devstack.payments --port 0` logs `listening` with its port; SIGTERM ends it. It forgets all then.
Like Stripe it saves an answer under its idempotency key, errors included, and replays it; only the token
`pm_sandbox_fails_once` fails with a 5xx that is not saved. `GET /_sandbox/intents` lists every payment, for checkers:
`amount` is in Stripe's units as it was asked for, `charged` is what the customer's statement says.
"""
