#!/bin/sh
# Remove files that a service never reads from an image's environment: `strip_image.sh ENVIRONMENT "MODULE, …"`.
set -eu
environment=$1 modules=$2
packages=$(echo "$environment"/lib/python3.*/site-packages)
# Only debuggers need symbols.
find "$environment" -name '*.so*' -type f -exec strip --strip-unneeded {} +
# botocore contains the data of every AWS service. The services use botocore only to find credentials; their own client
# calls DynamoDB and SQS.
find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d \
    ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
rm -rf "$packages/boto3/data" "$packages/boto3/examples"
# Compile every module that the service imports, with or without tracing: the running container cannot write
# compiled files.
PYTHONDONTWRITEBYTECODE= "$environment/bin/python" -c "import $modules, order_shared.healthcheck, order_shared.runtime.tracing.spans"
