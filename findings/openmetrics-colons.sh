#!/bin/sh
# Packages: prometheus-client 0.26.0
# Guess:    A metric has the same name in both text formats; ":" is a legal character of names.
# Seen:     The OpenMetrics format, which Prometheus asks for, has the metric job:rate as job_rate,
#           while its TYPE line says job:rate. So the name depends on what the scraper accepts.
# Source:   prometheus/client_python#1177
# Do:       Use no colons in names of metrics; Prometheus reserves them for recording rules.
. "$(dirname "$0")/lib/finding.sh"
packages prometheus-client==0.26.0
python <<'END'
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.exposition import choose_encoder
from finding import see

registry = CollectorRegistry()
Gauge("job:rate", "A rate.", registry=registry).set(1)
for accept, name in [("text/plain", "job:rate"),
                     ("application/openmetrics-text; version=1.0.0", "job_rate")]:
    encode, _ = choose_encoder(accept)
    lines = encode(registry).decode().splitlines()
    see(accept, lines[1:3], ["# TYPE job:rate gauge", f"{name} 1.0"])
END
