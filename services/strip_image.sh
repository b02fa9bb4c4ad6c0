#!/bin/sh
# Remove files that a service never reads from an image's environment: `strip_image.sh ENVIRONMENT PACKAGE`.
set -eu
environment=$1 package=$2
packages=$(echo "$environment"/lib/python3.*/site-packages)
# Only debuggers need symbols.
find "$environment" -name '*.so*' -type f -exec strip --strip-unneeded {} +
# botocore contains the data of every AWS service. The services use botocore only to find credentials; their own client
# calls DynamoDB and SQS.
find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d \
    ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
rm -rf "$packages/boto3/data" "$packages/boto3/examples"
# Compile every module of the service and all that these import, with or without tracing: the running container cannot
# write compiled files.
PYTHONDONTWRITEBYTECODE= "$environment/bin/python" -c "
import importlib, pkgutil
import order_shared.healthcheck, order_shared.runtime.tracing.spans
for module in pkgutil.walk_packages(importlib.import_module('$package').__path__, '$package.'):
    if not module.name.endswith('__main__'):
        importlib.import_module(module.name)
"
