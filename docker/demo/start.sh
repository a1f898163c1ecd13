#!/bin/sh
# Starts the service beyond loopback for the demo client alone, whose key and configuration are made on the first start.
set -eu
data="${DEMO_DATA:-/data}"
config="$data/cds-service.toml"
if [ ! -e "$config" ]; then
  # Left by a first start that was cut short, or by a configuration that was deleted to be made anew.
  rm -f "$data/demo.key.pem" "$data/demo.jwks.json"
  {
    cat <<EOT
# Made on the first start of the demo; delete it to have it made anew.
[service]
base_url = "${DEMO_BASE_URL:-http://localhost:8000}"
database_url = "sqlite:///$data/cds-service.db"
[cards]
show_excluded = true
[feedback]
pseudonym_key_file = "pseudonym.key"
[limits]
fetch_seconds = 30.0  # a FHIR server that has just started takes its time
EOT
    cds-service doctor --new-client demo --folder "$data" --config "$config"
    cat <<EOT
fhir_servers = ["${DEMO_FHIR_SERVER:-http://fhir:8080/fhir}"]
private_networks = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]  # from which Docker gives containers addresses
EOT
  } > "$config.new"
  mv "$config.new" "$config"
fi
exec cds-service serve --host "${DEMO_HOST:-0.0.0.0}" --port "${DEMO_PORT:-8000}" --config "$config"
