"""Local payment sandbox: the part of Stripe's HTTP API that the processor uses, in memory.

`python -m devstack.payments --port 0` logs `listening` with its port. SIGTERM stops it, and its data is lost. Like
Stripe it saves each response under its idempotency key, errors included, and replays it; only the token
`pm_sandbox_fails_once` fails with a 5xx that is not saved. It refuses parameters that it does not know, and its errors
have the form of Stripe's. `GET /_sandbox/intents` lists every payment for checks: `amount` is the requested amount in
Stripe's units, `charged` the amount on the customer's statement. docs/api.md lists the payment tokens.
"""
