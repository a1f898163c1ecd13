#!/bin/sh
# Starts the service beyond loopback for the demo client alone, whose key and configuration are made on the first start.
set -eu
here=$(dirname "$0")
data="${DEMO_DATA:-/data}"
python "$here/demo_client.py" init
exec cds-service serve --host "${DEMO_HOST:-0.0.0.0}" --port "${DEMO_PORT:-8000}" --config "$data/cds-service.toml"
