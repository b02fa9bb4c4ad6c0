"""Use cases of shops: manage webhook endpoints."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from order_api.cursors import CursorCodec, Page
from order_api.idempotency import earlier_record
from order_api.order.exceptions import VersionMismatch
from order_api.webhook.challenges import Challenges
from order_api.webhook.exceptions import UrlNotAllowed
from order_api.webhook.schemas import PREVIOUS_SECRET_LIFETIME, WebhookEndpointIn
from order_shared.domain.clock import Clock
from order_shared.domain.errors import StorageUnavailable
from order_shared.domain.idempotency import IdempotencyRecord, RecordKind, RecordTaken, expiry, fingerprint, record_key
from order_shared.domain.order.models import Customer
from order_shared.domain.webhook.attempt import Attempt, AttemptError
from order_shared.domain.webhook.exceptions import EndpointChanged, EndpointNotFound
from order_shared.domain.webhook.health import DisabledReason, EndpointState, Health
from order_shared.domain.webhook.models import Endpoint, SealedSecret, is_endpoint_id, new_endpoint_id
from order_shared.domain.webhook.secret_box import SecretBox
from order_shared.domain.webhook.signing import new_secret
from order_shared.storage.event_log.read import EventLogReader
from order_shared.storage.webhooks.endpoints import EndpointRepository
from order_shared.webhook_http.addresses import InvalidUrl, check_url
from order_shared.webhook_http.challenge import ChallengeResult

ROUNDS = 5
"""Maximum attempts of a change while others change the same endpoint."""
NOT_PUBLIC = "must have a public address"


@dataclass(frozen=True, kw_only=True)
class Changed:
    """Endpoint after a request, with its new secret and the attempt of the challenge, if there was one."""

    endpoint: Endpoint
    secret: str | None = None
    attempt: Attempt | None = None
    replayed: bool = False


class WebhookService:
    def __init__(
        self,
        endpoints: EndpointRepository,
        event_reader: EventLogReader,
        challenges: Challenges,
        box: SecretBox,
        cursors: CursorCodec,
        clock: Clock,
        *,
        local_receivers: bool,
    ) -> None:
        self._endpoints = endpoints
        self._event_reader = event_reader
        self._challenges = challenges
        self._box = box
        self._cursors = cursors
        self._clock = clock
        self._local_receivers = local_receivers

    async def create(self, caller: Customer, settings: WebhookEndpointIn, idempotency_key: str) -> Changed:
        """Challenge the receiver and store the endpoint, once per key.

        The endpoint receives the events from now on. Raises UrlNotAllowed, TooManyEndpoints, IdempotencyKeyReused and
        RateLimited, and EndpointNotFound for a repetition after the endpoint was deleted.
        """
        self._check(settings.url)
        key = record_key(caller, RecordKind.ENDPOINT, idempotency_key)
        request_fingerprint = fingerprint(settings.model_dump(mode="json"))
        if replayed := await self._replayed(caller.tenant, key, request_fingerprint):
            return replayed
        secret, endpoint_id = new_secret(), new_endpoint_id()
        result = await self._challenge(caller.tenant, endpoint_id, settings, [secret])
        now = self._clock()
        endpoint = Endpoint(
            tenant=caller.tenant,
            endpoint_id=endpoint_id,
            url=settings.url,
            types=settings.changes,
            description=settings.description,
            secrets=(SealedSecret(sealed=self._box.seal(secret)),),
            position=await self._event_reader.latest(caller.tenant),
            created_at=now,
            updated_at=now,
            health=_health(Health(), settings, result),
        )
        record = IdempotencyRecord(
            key=key, subject=endpoint_id, fingerprint=request_fingerprint, expires_at=expiry(now)
        )
        try:
            await self._endpoints.create(endpoint, record)
        except RecordTaken as error:  # the same request, at the same time
            if replayed := await self._replayed(caller.tenant, key, request_fingerprint):
                return replayed
            raise StorageUnavailable("too many concurrent requests with one idempotency key") from error
        return Changed(endpoint=endpoint, secret=secret, attempt=_attempt(result))

    async def get(self, tenant: str, endpoint_id: str) -> Endpoint:
        """Return an endpoint. Raises EndpointNotFound."""
        if not is_endpoint_id(endpoint_id):
            raise EndpointNotFound(endpoint_id)
        return await self._endpoints.get(tenant, endpoint_id)

    async def list(self, tenant: str, *, limit: int, cursor: str | None) -> Page[Endpoint]:
        """Return a page of the endpoints, oldest first. Raises InvalidCursor."""
        scope = {"list": "webhook_endpoints", "tenant": tenant}
        after = "" if cursor is None else self._cursors.decode(cursor, scope)
        found: Sequence[Endpoint] = await self._endpoints.list(tenant)
        left = [endpoint for endpoint in found if _place(endpoint) > after]
        return self._cursors.page(left[: limit + 1], limit, scope, _place)

    async def replace(
        self, tenant: str, endpoint_id: str, settings: WebhookEndpointIn, versions: Collection[int] | None
    ) -> Changed:
        """Replace the settings. A new URL, or an endpoint that is enabled, is challenged.

        `versions` are those to replace, or None for any. Raises EndpointNotFound, UrlNotAllowed, VersionMismatch and
        RateLimited.
        """
        self._check(settings.url)
        result: ChallengeResult | None = None
        for _ in range(ROUNDS):
            endpoint = await self.get(tenant, endpoint_id)
            if versions is not None and endpoint.version not in versions:
                raise VersionMismatch(endpoint.version)
            is_new = settings.url != endpoint.url
            if settings.enabled and result is None and (is_new or not endpoint.health.delivers):
                result = await self._challenge(tenant, endpoint_id, settings, self._secrets(endpoint))
            health = Health() if is_new else endpoint.health
            changed = replace(
                endpoint,
                url=settings.url,
                types=settings.changes,
                description=settings.description,
                health=_health(health, settings, result),
            )
            try:
                stored = await self._endpoints.change(changed)
            except EndpointChanged:
                continue
            return Changed(endpoint=stored, attempt=_attempt(result))
        raise _contended(endpoint_id)

    async def delete(self, tenant: str, endpoint_id: str) -> Endpoint:
        """Delete an endpoint and return it as it was. Raises EndpointNotFound."""
        endpoint = await self.get(tenant, endpoint_id)
        await self._endpoints.delete(tenant, endpoint_id)
        return endpoint

    async def verify(self, tenant: str, endpoint_id: str) -> Changed:
        """Challenge the receiver, and enable the endpoint if it answers. Raises EndpointNotFound and RateLimited."""
        endpoint = await self.get(tenant, endpoint_id)
        result = await self._challenges.ask(
            tenant=tenant, endpoint_id=endpoint_id, url=endpoint.url, secrets=self._secrets(endpoint)
        )
        for _ in range(ROUNDS):
            if not result.answered or endpoint.state is EndpointState.ACTIVE:
                return Changed(endpoint=endpoint, attempt=result.attempt)
            challenged = endpoint.url
            try:
                stored = await self._endpoints.change(replace(endpoint, health=endpoint.health.activated()))
            except EndpointChanged:
                endpoint = await self.get(tenant, endpoint_id)
                if endpoint.url != challenged:
                    return Changed(endpoint=endpoint, attempt=result.attempt)
                continue
            return Changed(endpoint=stored, attempt=result.attempt)
        raise _contended(endpoint_id)

    async def rotate_secret(self, tenant: str, endpoint_id: str, *, end_previous: bool) -> Changed:
        """Add a secret; the previous one stays valid for 24 hours. Return the endpoint and its newest secret.

        While two secrets are valid, a repetition returns the newest one and changes nothing, so that a lost response
        loses no secret. With `end_previous`, the previous secret ends, and no secret is added. Raises EndpointNotFound.
        """
        for _ in range(ROUNDS):
            endpoint = await self.get(tenant, endpoint_id)
            now = self._clock()
            valid = endpoint.valid_secrets(now)
            if len(valid) > 1 and not end_previous:
                return Changed(endpoint=endpoint, secret=self._box.open(valid[0].sealed), replayed=True)
            secret = None if end_previous else new_secret()
            newest = replace(valid[0], expires_at=None)
            previous = replace(newest, expires_at=now + PREVIOUS_SECRET_LIFETIME)
            secrets = (newest,) if secret is None else (SealedSecret(sealed=self._box.seal(secret)), previous)
            try:
                stored = await self._endpoints.change(replace(endpoint, secrets=secrets))
            except EndpointChanged:
                continue
            return Changed(endpoint=stored, secret=secret)
        raise _contended(endpoint_id)

    async def _replayed(self, tenant: str, key: str, request_fingerprint: str) -> Changed | None:
        """Return the endpoint that an earlier request with this key created, with its secret; or None."""
        record = await earlier_record(self._endpoints.find_record, key, request_fingerprint, self._clock)
        if record is None:
            return None
        endpoint = await self._endpoints.get(tenant, record.subject)
        return Changed(endpoint=endpoint, secret=self._box.open(endpoint.secrets[0].sealed), replayed=True)

    async def _challenge(
        self, tenant: str, endpoint_id: str, settings: WebhookEndpointIn, secrets: Sequence[str]
    ) -> ChallengeResult | None:
        """Challenge the receiver unless the endpoint shall be disabled. Raises UrlNotAllowed and RateLimited."""
        if not settings.enabled:
            return None
        result = await self._challenges.ask(tenant=tenant, endpoint_id=endpoint_id, url=settings.url, secrets=secrets)
        if result.attempt.error in (AttemptError.ADDRESS_NOT_PUBLIC, AttemptError.INVALID_URL):
            raise UrlNotAllowed(f"url {NOT_PUBLIC}: every address of its host must be public")
        return result

    def _secrets(self, endpoint: Endpoint) -> Sequence[str]:
        return [self._box.open(each.sealed) for each in endpoint.valid_secrets(self._clock())]

    def _check(self, url: str) -> None:
        try:
            check_url(url, local_receivers=self._local_receivers)
        except InvalidUrl as error:
            raise UrlNotAllowed(f"url {error}") from error


def _health(health: Health, settings: WebhookEndpointIn, result: ChallengeResult | None) -> Health:
    """Return the state of an endpoint with these settings, after its challenge if there was one."""
    if not settings.enabled:
        return health.disabled(DisabledReason.REQUESTED)
    if result is None:
        return health
    return health.activated() if result.answered else Health()


def _attempt(result: ChallengeResult | None) -> Attempt | None:
    return None if result is None else result.attempt


def _place(endpoint: Endpoint) -> str:
    """Return a text that sorts as the list does."""
    return f"{endpoint.created_at.timestamp():020.6f} {endpoint.endpoint_id}"


def _contended(endpoint_id: str) -> StorageUnavailable:
    return StorageUnavailable(f"webhook endpoint {endpoint_id} was changed by others in all {ROUNDS} attempts")
