#!/bin/sh
# Takes out of an image's environment what a service never reads: `strip_image.sh ENVIRONMENT MODULE`.
set -eu
environment=$1 module=$2
packages=$(echo "$environment"/lib/python3.*/site-packages)
# Symbols are for debuggers.
find "$environment" -name '*.so*' -type f -exec strip --strip-unneeded {} +
# botocore brings every service of AWS. Here it finds credentials only: DynamoDB and SQS are spoken to directly.
find "$packages/botocore/data" -mindepth 1 -maxdepth 1 -type d \
    ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -rf {} +
rm -rf "$packages/boto3/data" "$packages/boto3/examples"
# Compiled is what the service imports when it starts, traced or not, since the running container can write nothing.
PYTHONDONTWRITEBYTECODE= "$environment/bin/python" -c "import $module, order_shared.healthcheck, order_shared.runtime.tracing.spans"
