"""AWS's test suite for Signature Version 4: the cases with a POST to the path `/` without a query.

The values are those of the suite (Apache-2.0, Amazon.com), as botocore's source distribution has them under
`tests/unit/auth/aws4_testsuite`. Its other cases have a GET, a query or a path, which the client does not send.
"""

import pytest

from aws_json_client import Key
from aws_json_client.signing import Signer

ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
TIMESTAMP = "20150830T123600Z"
HOST = "example.amazonaws.com"
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7"
    "mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d"
    "+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
VANILLA = {"host": HOST, "x-amz-date": TIMESTAMP}
FORM = "application/x-www-form-urlencoded"
CASES = {
    "post-vanilla": (VANILLA, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-header-key-case": (VANILLA, b"", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    "post-header-key-sort": (
        {"host": HOST, "my-header1": "value1", "x-amz-date": TIMESTAMP},
        b"",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    "post-header-value-case": (
        {"host": HOST, "my-header1": "VALUE1", "x-amz-date": TIMESTAMP},
        b"",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    "post-sts-header-before": (
        {**VANILLA, "x-amz-security-token": TOKEN},
        b"",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ),
    "post-x-www-form-urlencoded": (
        {"content-type": FORM, **VANILLA},
        b"Param1=value1",
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    "post-x-www-form-urlencoded-parameters": (
        {"content-type": f"{FORM}; charset=utf8", **VANILLA},
        b"Param1=value1",
        "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_authorization_equals_the_suites(name: str) -> None:
    headers, body, signature = CASES[name]
    signer = Signer(service="service", region="us-east-1", host=HOST)
    assert signer.authorization(Key(ID, SECRET), headers, body, TIMESTAMP) == (
        f"AWS4-HMAC-SHA256 Credential={ID}/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={';'.join(headers)}, Signature={signature}"
    )
