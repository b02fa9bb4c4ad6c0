"""Explanation of each problem code, for its page: why it is returned, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Explanation:
    cause: str
    remedy: str


_REPEAT = "Send the same request again, with the same Idempotency-Key, after the seconds in Retry-After."

EXPLANATIONS: Mapping[str, Explanation] = {
    "amount_not_chargeable": Explanation(
        "The order has a payment token, and the payment provider cannot charge exactly its total: the total is below "
        "the provider's minimum, above its maximum, or has decimals that the provider does not support.",
        "Change the lines so that the total is within the limit in detail, or place the order without a payment token.",
    ),
    "currency_mismatch": Explanation(
        "The lines of the order have products that are priced in different currencies. The member errors points at "
        "each line.",
        "Place one order per currency.",
    ),
    "idempotency_key_missing": Explanation(
        "The header Idempotency-Key is missing, occurs more than once, is empty, is longer than 255 characters, or has "
        "characters other than printable ASCII.",
        "Send one Idempotency-Key. Use a new one, such as a UUID, for each new request, and the same one to repeat a "
        "request.",
    ),
    "idempotency_key_reused": Explanation(
        "Another request with this Idempotency-Key was handled in the last 24 hours, and its body was different.",
        "Use a new key for a new request. To repeat a request, send exactly its body.",
    ),
    "insufficient_scope": Explanation(
        "The token is valid, but lacks the scope that the operation requires. The header WWW-Authenticate names it.",
        "Request a token with this scope from your issuer.",
    ),
    "insufficient_stock": Explanation(
        "The change would make the stock of the product negative.",
        "Read the product to see how many units are available, then remove at most that many.",
    ),
    "internal_error": Explanation(
        "An unexpected error occurred in the service. It has been logged.",
        "Send the same request again, with the same Idempotency-Key. If the error persists, ask for support and "
        "include request_id.",
    ),
    "invalid_cursor": Explanation(
        "The cursor was not issued for this list, for these filters and this sort, or for this customer.",
        "Send next_cursor of the previous page unchanged, with all other parameters as before, or start without one.",
    ),
    "malformed_request": Explanation(
        "The received bytes are not a valid HTTP/1.1 request, or two programs could read them differently. The "
        "connection has been closed.",
        "Use a common HTTP client. Send exactly one Host, and a body either with one Content-Length or with "
        "Transfer-Encoding: chunked.",
    ),
    "method_not_allowed": Explanation(
        "The path exists, but not with this method.", "Use a method that the header Allow names."
    ),
    "not_cancellable": Explanation(
        "The order was rejected, or it was confirmed too long ago.",
        "Read the order to see its status. A confirmed order can be cancelled for 24 hours.",
    ),
    "not_found": Explanation(
        "The path does not exist. A trailing slash is part of a path.",
        "Compare the path with the documentation. The member detail may name a similar path.",
    ),
    "not_home_region": Explanation(
        "This region only reads. Each tenant has one home region, which takes its writes.",
        "Send the request, with the same Idempotency-Key, to the region in home_region.",
    ),
    "order_not_found": Explanation(
        "No order has this id, or the order belongs to another customer or tenant.",
        "Check the id, and the tenant and customer of the token.",
    ),
    "payload_too_large": Explanation(
        "The body is larger than 64 KiB.", "Send a smaller body. An order has at most 50 different products."
    ),
    "product_not_found": Explanation(
        "Your tenant has no product with this SKU. A SKU is case-sensitive.",
        "List the products to see their SKUs.",
    ),
    "rate_limited": Explanation(
        "Your tenant sends more requests than its limit. The headers RateLimit-Policy and RateLimit describe it.",
        "Wait for the seconds in Retry-After, then send the same request again.",
    ),
    "reference_taken": Explanation(
        "You have an order with this reference that is neither rejected nor cancelled. References that differ only in "
        "blanks at their ends or in Unicode form are equal.",
        "Search for the order with q, or choose another reference.",
    ),
    "request_header_fields_too_large": Explanation(
        "Path, query and headers together have more than 32 KiB, or there are more than 100 headers.",
        "Send fewer or shorter headers, such as cookies.",
    ),
    "request_timeout": Explanation(
        "The body did not arrive in time. The connection has been closed.",
        "Send the same request again, with the same Idempotency-Key.",
    ),
    "temporarily_unavailable": Explanation(
        "The service is overloaded, or something that it depends on does not respond. The order may have been placed "
        "or not.",
        f"{_REPEAT} No second order is placed.",
    ),
    "unauthenticated": Explanation(
        "The request has no valid bearer token. The member detail has the reason, such as an expired token.",
        "Send Authorization: Bearer with a valid access token of your issuer.",
    ),
    "unknown_sku": Explanation(
        "Your tenant has no product with one of the SKUs. The member errors points at each line and may name a similar "
        "SKU. A SKU is case-sensitive.",
        "List the products to see their SKUs, and correct the lines.",
    ),
    "unsupported_media_type": Explanation(
        "The header Content-Type is missing or is not application/json, or the body has a Content-Encoding.",
        "Send the body as uncompressed JSON in UTF-8, with Content-Type: application/json.",
    ),
    "unsupported_sort": Explanation(
        "No index supports this sort.", "Sort by -created_at (newest first) or created_at (oldest first)."
    ),
    "uri_too_long": Explanation("Path and query have more than 8 KiB.", "Send fewer or shorter parameters."),
    "validation_failed": Explanation(
        "The body, a parameter or a header is not valid. The member errors lists each fault with its place: a JSON "
        "pointer into the body, or query:, path: or header: and a name.",
        "Correct each of the faults. The same request fails again.",
    ),
    "version_mismatch": Explanation(
        "The order has changed since you read the version in If-Match. The member current_version has its version.",
        "Read the order again, decide, and send its new ETag.",
    ),
}
"""Explanation by problem code."""
