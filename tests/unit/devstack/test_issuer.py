"""Local issuer: one key per stack, readable by its owner only; its key set verifies its tokens."""

import stat
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from devstack.issuer import ALGORITHM, ALL_SCOPES, AUDIENCE, ISSUER, KEY_ID, BrokenKey, Issuer

RACER = """
import sys
from pathlib import Path
from devstack.issuer import Issuer
sys.stdout.write("ready\\n")
sys.stdout.flush()
sys.stdin.readline()
sys.stdout.write(Issuer.at(Path(sys.argv[1])).key_set["keys"][0]["n"])
"""


@pytest.fixture(scope="module")
def key_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stack") / "state" / "issuer.pem"


@pytest.fixture(scope="module")
def issuer(key_path: Path) -> Issuer:
    return Issuer.at(key_path)


def modulus_of(issuer: Issuer) -> str:
    return str(issuer.key_set["keys"][0]["n"])


def test_the_key_is_for_its_owner_only(issuer: Issuer, key_path: Path) -> None:
    assert issuer.private_key.key_size == 2048
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600


def test_nothing_but_the_key_is_left_behind(issuer: Issuer, key_path: Path) -> None:
    assert isinstance(issuer, Issuer)
    assert list(key_path.parent.iterdir()) == [key_path]


def test_the_key_stays_the_same(issuer: Issuer, key_path: Path) -> None:
    before = key_path.read_bytes()
    assert Issuer.at(key_path).key_set == issuer.key_set
    assert key_path.read_bytes() == before


def test_each_stack_has_its_own_key(issuer: Issuer, tmp_path: Path) -> None:
    assert modulus_of(Issuer.at(tmp_path / "issuer.pem")) != modulus_of(issuer)


def test_processes_that_race_end_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "state" / "issuer.pem"
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    answers = [racer.communicate()[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert answers == [modulus_of(Issuer.at(path))] * 2
    assert list(path.parent.iterdir()) == [path]


def test_threads_that_race_end_with_one_key(tmp_path: Path) -> None:
    path = tmp_path / "state" / "issuer.pem"
    together = threading.Barrier(8)

    def race() -> str:
        together.wait()
        return modulus_of(Issuer.at(path))

    with ThreadPoolExecutor(together.parties) as pool:
        racing = [pool.submit(race) for _ in range(together.parties)]
    answers = {each.result() for each in racing}
    assert answers == {modulus_of(Issuer.at(path))}
    assert list(path.parent.iterdir()) == [path]


def test_a_file_without_a_key_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "issuer.pem"
    path.write_text("no key")
    with pytest.raises(BrokenKey, match="contains no RSA key; remove the file"):
        Issuer.at(path)
    assert path.read_text() == "no key"


def test_another_kind_of_key_is_rejected_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "issuer.pem"
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem)
    with pytest.raises(BrokenKey, match="no RSA key; remove the file"):
        Issuer.at(path)
    assert path.read_bytes() == pem


def test_a_token_holds_against_the_key_set(issuer: Issuer) -> None:
    key = jwt.PyJWKSet.from_dict(issuer.key_set)[KEY_ID]
    token = issuer.token("acme", "ada")
    claims = jwt.decode(token, key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER)
    assert (claims["tenant"], claims["sub"], claims["scope"]) == ("acme", "ada", ALL_SCOPES)
    assert jwt.get_unverified_header(token)["kid"] == KEY_ID


def test_a_token_is_valid_for_the_requested_time(issuer: Issuer) -> None:
    claims = jwt.decode(issuer.token("acme", "ada", "orders:read", 60), options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 60
    assert claims["iat"] <= time.time()
    assert claims["scope"] == "orders:read"


def test_a_token_can_be_made_to_have_expired(issuer: Issuer) -> None:
    key = jwt.PyJWKSet.from_dict(issuer.key_set)[KEY_ID]
    token = issuer.token("acme", "ada", ttl_seconds=-60)
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(token, key, algorithms=[ALGORITHM], audience=AUDIENCE)


def test_the_key_set_shows_nothing_private(issuer: Issuer) -> None:
    assert [set(key) & set("dpqk") for key in issuer.key_set["keys"]] == [set()]
    assert {"dp", "dq", "qi"}.isdisjoint(issuer.key_set["keys"][0])


GRANT = {"grant_type": "client_credentials", "client_secret": "the secret", "tenant": "acme", "customer": "ada"}


@pytest.mark.parametrize(
    ("secret", "form", "status"),
    [
        ("the secret", GRANT, 200),
        ("the secret", GRANT | {"client_secret": "a guess"}, 401),
        ("the secret", GRANT | {"grant_type": "password"}, 400),
        ("the secret", GRANT | {"customer": ""}, 400),
        (None, GRANT | {"client_secret": ""}, 401),
    ],
)
def test_tokens_over_http_are_for_those_who_know_the_secret(
    issuer: Issuer, secret: str | None, form: dict[str, str], status: int
) -> None:
    with issuer.serve(client_secret=secret) as url:
        answer = httpx2.post(url, data=form)
    assert (answer.status_code, "access_token" in answer.json()) == (status, status == 200)
