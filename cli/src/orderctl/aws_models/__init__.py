"""What the installed botocore does not know yet of AWS's APIs, in botocore's own way of adding to a model.

`ecs/2014-11-13/service-2.sdk-extras.json` has what ECS got after it: pause hooks and `ContinueServiceDeployment`.
A file `{type}.sdk-extras.json` on the loader's search path is merged into the model of that name. Only what is
missing stands there; once botocore has it, the file can go (a test says when).
"""

from pathlib import Path
from typing import TypeVar

import boto3
import botocore.session

DIRECTORY = Path(__file__).parent

Session = TypeVar("Session", bound=botocore.session.Session)


def register_models(session: Session) -> Session:
    """The same session; the clients made from it know our additions. For aiobotocore's sessions too."""
    session.get_component("data_loader").search_paths.append(str(DIRECTORY))
    return session


def session(
    *,
    profile: str | None = None,
    region: str | None = None,
    access_key: str | None = None,
    secret_key: str | None = None,
) -> boto3.Session:
    """A boto3 session that knows our additions; what is None comes from the environment, as usual."""
    return boto3.Session(
        botocore_session=register_models(botocore.session.Session(profile=profile)),
        region_name=region,
        aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )
