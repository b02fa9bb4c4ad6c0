"""Explanation of each problem code, for its page: why it is returned, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Explanation:
    cause: str
    remedy: str


EXPLANATIONS: Mapping[str, Explanation] = {
    "amount_not_chargeable": Explanation(
        cause="The order has a payment token, and the payment provider cannot charge exactly its total: the "
        "total is below the provider's minimum, above its maximum, or has decimals that the provider "
        "does not support.",
        remedy="Change the lines so that the total is within the limit in detail, or place the order without a"
        " payment token.",
    ),
    "currency_mismatch": Explanation(
        cause="The lines of the order have products that are priced in different currencies. The member "
        "errors points at each line.",
        remedy="Place one order per currency.",
    ),
    "idempotency_key_missing": Explanation(
        cause="The header Idempotency-Key is missing, occurs more than once, is empty, is longer than 255 "
        "characters, or has characters other than printable ASCII.",
        remedy="Send one Idempotency-Key. Use a new one, such as a UUID, for each new request, and the same "
        "one to repeat a request.",
    ),
    "idempotency_key_reused": Explanation(
        cause="Another request with this Idempotency-Key was handled in the last 24 hours, and its body was different.",
        remedy="Use a new key for a new request. To repeat a request, send exactly its body.",
    ),
    "insufficient_scope": Explanation(
        cause="The token is valid, but lacks the scope that the operation requires, or the request has the header "
        "Order-Customer and the token lacks orders:act. The header WWW-Authenticate names the scope.",
        remedy="Request a token with this scope from your issuer.",
    ),
    "insufficient_stock": Explanation(
        cause="The change would make the stock of the product negative.",
        remedy="Read the product to see how many units are available, then remove at most that many.",
    ),
    "delivery_not_found": Explanation(
        cause="The webhook endpoint has no delivery with this id: it ended more than seven days ago, or the event was "
        "delivered at the first attempt.",
        remedy="List the deliveries to see their ids, or have a range of events sent again.",
    ),
    "internal_error": Explanation(
        cause="An unexpected error occurred in the service. It has been logged.",
        remedy="Send the same request again, with the same Idempotency-Key. If the error persists, ask for "
        "support and include request_id.",
    ),
    "invalid_cursor": Explanation(
        cause="The cursor was not issued for this list, for these filters and this sort, or for this customer.",
        remedy="Send next_cursor of the previous page unchanged, with all other parameters as before, or start"
        " without one.",
    ),
    "invalid_position": Explanation(
        cause="The position in after or Last-Event-ID was changed, or was not issued for this feed and this customer: "
        "the events of one customer and those of a whole tenant are two feeds.",
        remedy="Send next of the previous response, or id of the last message, unchanged. Send latest to begin at the"
        " end of the feed, or no position to begin with the oldest event kept.",
    ),
    "malformed_request": Explanation(
        cause="The received bytes are not a valid HTTP/1.1 request, or two programs could read them "
        "differently. The connection has been closed.",
        remedy="Use a common HTTP client. Send exactly one Host, and a body either with one Content-Length or "
        "with Transfer-Encoding: chunked.",
    ),
    "method_not_allowed": Explanation(
        cause="The path exists, but not with this method.",
        remedy="Use a method that the header Allow names.",
    ),
    "not_cancellable": Explanation(
        cause="The order was rejected, or it was confirmed too long ago.",
        remedy="Read the order to see its status. A confirmed order can be cancelled for 24 hours.",
    ),
    "not_found": Explanation(
        cause="The path does not exist. A trailing slash is part of a path.",
        remedy="Compare the path with the documentation. The member detail may name a similar path.",
    ),
    "not_home_region": Explanation(
        cause="This region only reads. Each tenant has one home region, which takes its writes.",
        remedy="Send the request, with the same Idempotency-Key, to the region in home_region.",
    ),
    "order_not_found": Explanation(
        cause="No order has this id, or the order belongs to another customer or tenant.",
        remedy="Check the id, and the tenant and customer of the token.",
    ),
    "payload_too_large": Explanation(
        cause="The body is larger than 64 KiB.",
        remedy="Send a smaller body. An order has at most 50 different products.",
    ),
    "position_expired": Explanation(
        cause="No events can be read from this position any more: they are older than 30 days, or the log of events "
        "was restored, or moved to another region, after the position was issued. Events between the position "
        "and now may be missing.",
        remedy="Read once with after=latest and keep next. Then list your orders, which shows every change that you may"
        " have missed. Then continue from the kept position.",
    ),
    "product_not_found": Explanation(
        cause="Your tenant has no product with this SKU. A SKU is case-sensitive.",
        remedy="List the products to see their SKUs.",
    ),
    "rate_limited": Explanation(
        cause="Your tenant sends more requests than its limit. The headers RateLimit-Policy and RateLimit describe it.",
        remedy="Wait for the seconds in Retry-After, then send the same request again.",
    ),
    "stock_shards_reduced": Explanation(
        cause="The product has more stock shards than stock_shards of the request, and their number can only grow.",
        remedy="Send a larger stock_shards, or leave it out to keep the number.",
    ),
    "reference_taken": Explanation(
        cause="You have an order with this reference that is neither rejected nor cancelled. References that "
        "differ only in blanks at their ends or in Unicode form are equal.",
        remedy="Search for the order with q, or choose another reference.",
    ),
    "request_header_fields_too_large": Explanation(
        cause="Path, query and headers together have more than 32 KiB, or there are more than 100 headers.",
        remedy="Send fewer or shorter headers, such as cookies.",
    ),
    "request_timeout": Explanation(
        cause="The body did not arrive in time. The connection has been closed.",
        remedy="Send the same request again, with the same Idempotency-Key.",
    ),
    "temporarily_unavailable": Explanation(
        cause="The service is overloaded, or something that it depends on does not respond. The order may "
        "have been placed or not.",
        remedy="Send the same request again, with the same Idempotency-Key, after the seconds in Retry-After. "
        "No second order is placed.",
    ),
    "too_many_streams": Explanation(
        cause="Your tenant has as many open streams of events in one process of the service as it may have.",
        remedy="Close a stream, or read the feed instead, which needs no open connection. One stream of the tenant's"
        " events can take the place of one for each customer. Retry-After has the number of seconds to wait.",
    ),
    "too_many_deliveries": Explanation(
        cause="As many deliveries as an endpoint may have wait for their next attempt.",
        remedy="Correct the receiver. The deliveries that wait are then sent without a request of yours.",
    ),
    "too_many_webhook_endpoints": Explanation(
        cause="Your tenant has as many webhook endpoints as it may have.",
        remedy="Delete an endpoint that is no longer needed.",
    ),
    "unauthenticated": Explanation(
        cause="The request has no valid bearer token. The member detail has the reason, such as an expired token.",
        remedy="Send Authorization: Bearer with a valid access token of your issuer.",
    ),
    "unknown_sku": Explanation(
        cause="Your tenant has no product with one of the SKUs. The member errors points at each line and may"
        " name a similar SKU. A SKU is case-sensitive.",
        remedy="List the products to see their SKUs, and correct the lines.",
    ),
    "unsupported_media_type": Explanation(
        cause="The header Content-Type is missing or is not application/json, or the body has a Content-Encoding.",
        remedy="Send the body as uncompressed JSON in UTF-8, with Content-Type: application/json.",
    ),
    "unsupported_sort": Explanation(
        cause="No index supports this sort.",
        remedy="Sort by -created_at (newest first) or created_at (oldest first).",
    ),
    "uri_too_long": Explanation(
        cause="Path and query have more than 8 KiB.",
        remedy="Send fewer or shorter parameters.",
    ),
    "url_not_allowed": Explanation(
        cause="Webhooks are sent over https, to hosts whose addresses are all public. The member detail says what is "
        "wrong with the URL.",
        remedy="Use a URL with https and a public host, without a user name, a password and a fragment. To receive "
        "events on a machine without a public address, use orderctl listen.",
    ),
    "validation_failed": Explanation(
        cause="The body, a parameter or a header is not valid. The member errors lists each fault with its "
        "place: a JSON pointer into the body, or query:, path: or header: and a name.",
        remedy="Correct each of the faults. The same request fails again.",
    ),
    "version_mismatch": Explanation(
        cause="The order or webhook endpoint has changed since you read the version in If-Match. The member "
        "current_version has its version.",
        remedy="Read it again, decide, and send its new ETag.",
    ),
    "webhook_endpoint_inactive": Explanation(
        cause="The webhook endpoint is unverified or disabled, so no events are sent to it.",
        remedy="Correct the receiver, verify the endpoint, then send the request again.",
    ),
    "webhook_endpoint_not_found": Explanation(
        cause="Your tenant has no webhook endpoint with this id, or it was deleted.",
        remedy="List the webhook endpoints to see their ids, and check the tenant of the token.",
    ),
    "webhooks_not_available": Explanation(
        cause="This environment is set up without webhooks.",
        remedy="Read the feed of events, or keep a stream open.",
    ),
}
"""Explanation by problem code."""
