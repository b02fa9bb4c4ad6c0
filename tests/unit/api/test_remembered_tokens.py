"""A verified token is cached until it expires, and no longer."""

import time
from dataclasses import dataclass, field

import jwt
import pytest

from devstack.issuer import AUDIENCE, ISSUER, KEY_ID, Issuer
from order_api import auth
from order_api.auth import LEEWAY_SECONDS, InvalidToken, KeysUnavailable, SigningKey, TokenRules, TokenVerifier
from order_shared.domain.order.models import Customer
from tests.unit.api.conftest import issuer as known_issuer

RULES = TokenRules(issuer=ISSUER, audiences=(AUDIENCE,))
TTL = 600


@pytest.fixture
def issuer() -> Issuer:
    return known_issuer()


@dataclass
class Keys:
    known: dict[str, SigningKey] = field(default_factory=dict)
    are_gone: bool = False

    async def get(self, key_id: str) -> SigningKey | None:
        if self.are_gone:
            raise KeysUnavailable("gone")
        return self.known.get(key_id)


@dataclass
class Clock:
    now: float = field(default_factory=time.time)

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the tokens whose signatures are checked, which is not visible from outside."""
    checked: list[str] = []
    decode = jwt.decode

    def counting(token: str, *args: object, **kwargs: object) -> object:
        checked.append(token)
        return decode(token, *args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(jwt, "decode", counting)
    return checked


@pytest.fixture
def keys(issuer: Issuer) -> Keys:
    return Keys({KEY_ID: SigningKey.of(issuer.key_set["keys"][0])})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(keys: Keys, clock: Clock) -> TokenVerifier:
    return TokenVerifier(keys, RULES, clock=clock)


async def test_a_signature_is_checked_once(issuer: Issuer, verifier: TokenVerifier, counted: list[str]) -> None:
    ada, ben = issuer.token("acme", "ada"), issuer.token("acme", "ben")
    for _ in range(3):
        assert (await verifier.verify(ada)).customer == Customer(tenant="acme", id="ada")
        assert (await verifier.verify(ben)).customer == Customer(tenant="acme", id="ben")
    assert counted == [ada, ben]


async def test_a_cached_token_expires_with_the_token(
    issuer: Issuer, verifier: TokenVerifier, clock: Clock, counted: list[str]
) -> None:
    token = issuer.token("acme", "ada", ttl_seconds=TTL)
    await verifier.verify(token)
    clock.now += TTL + LEEWAY_SECONDS - 5
    await verifier.verify(token)
    assert len(counted) == 1
    clock.now += 10
    with pytest.raises(InvalidToken, match="expired"):
        await verifier.verify(token)
    assert len(counted) == 2


async def test_what_is_remembered_ends_when_its_key_leaves_the_issuers_set(
    issuer: Issuer, verifier: TokenVerifier, keys: Keys
) -> None:
    token = issuer.token("acme", "ada")
    await verifier.verify(token)
    keys.known.clear()
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


async def test_a_key_of_the_same_name_that_is_another_does_not_vouch_for_it(
    issuer: Issuer, verifier: TokenVerifier, keys: Keys, tmp_path_factory: pytest.TempPathFactory
) -> None:
    token = issuer.token("acme", "ada")
    await verifier.verify(token)
    stranger = Issuer.at(tmp_path_factory.mktemp("stranger") / "key.pem")
    keys.known[KEY_ID] = SigningKey.of(stranger.key_set["keys"][0])
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


async def test_without_keys_nothing_that_is_remembered_counts(
    issuer: Issuer, verifier: TokenVerifier, keys: Keys
) -> None:
    token = issuer.token("acme", "ada")
    await verifier.verify(token)
    keys.are_gone = True
    with pytest.raises(KeysUnavailable):
        await verifier.verify(token)


async def test_a_token_that_does_not_hold_is_never_remembered(
    issuer: Issuer, verifier: TokenVerifier, counted: list[str]
) -> None:
    token = issuer.token("acme", "ada", ttl_seconds=-TTL)
    for _ in range(2):
        with pytest.raises(InvalidToken):
            await verifier.verify(token)
    assert len(counted) == 2


async def test_a_token_that_differs_in_one_character_is_another(issuer: Issuer, verifier: TokenVerifier) -> None:
    token = issuer.token("acme", "ada")
    await verifier.verify(token)
    for position in (len(token) // 2, len(token) - 20):
        changed = token[:position] + ("A" if token[position] != "A" else "B") + token[position + 1 :]
        with pytest.raises(InvalidToken):
            await verifier.verify(changed)


async def test_only_so_many_are_remembered_and_the_oldest_makes_way(
    issuer: Issuer, verifier: TokenVerifier, counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "MAX_VERIFIED", 2)  # ten thousand signatures would take long
    first, second, third = (issuer.token("acme", name) for name in ("ada", "ben", "cleo"))
    for token in (first, second, third, second, third, first):
        await verifier.verify(token)
    assert counted == [first, second, third, first]
