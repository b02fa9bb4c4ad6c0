"""Asynchronous client of AWS's JSON services, such as DynamoDB and SQS, for a fraction of botocore's CPU.

async with open_client(DYNAMODB, region="eu-central-1") as dynamodb:
    print(await dynamodb.request("ListTables", {"Limit": 10}))
"""

from botocore.retries.quota import RetryQuota

from aws_json_client.client import AwsClient, open_client
from aws_json_client.credentials import BotocoreCredentials, CredentialsProvider, Key, StaticCredentials
from aws_json_client.endpoints import DYNAMODB, SQS, Service
from aws_json_client.errors import (
    AwsError,
    ConnectionFailed,
    ForeignResponse,
    NoCredentials,
    ResponseError,
    ServiceError,
    Unavailable,
)
from aws_json_client.retries import RetryPolicy
from aws_json_client.transport import Answer, SignedTransport, Transport, open_transport

__all__ = [
    "DYNAMODB",
    "SQS",
    "Answer",
    "AwsClient",
    "AwsError",
    "BotocoreCredentials",
    "ConnectionFailed",
    "CredentialsProvider",
    "ForeignResponse",
    "Key",
    "NoCredentials",
    "ResponseError",
    "RetryPolicy",
    "RetryQuota",
    "Service",
    "ServiceError",
    "SignedTransport",
    "StaticCredentials",
    "Transport",
    "Unavailable",
    "open_client",
    "open_transport",
]
