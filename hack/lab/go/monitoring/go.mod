// The Prometheus operator's CRDs, which the chart's monitors and alerts are checked against; nothing of it is built.
module microapps.dev/lab/monitoring

go 1.26.0

require github.com/prometheus-operator/prometheus-operator v0.85.0
