package main

import (
	"context"
	"encoding/json"
	"strconv"
	"time"
)

const (
	scope       = "microapps.dev/launcher"
	firstReport = time.Second
	reportEvery = 30 * time.Second
	lastReport  = time.Second // how long the last one may take: the app has ended
	cumulative  = 2           // AggregationTemporality (opentelemetry-proto, metrics.proto)
)

// reporter tells the OTLP receiver at url how records fare, past all that wait.
type reporter struct {
	url   string
	spool *spool
	begun time.Time
}

// run reports until ctx ends, and then a last time. What isn't taken is made good by the next report.
func (r *reporter) run(ctx context.Context) {
	rest(ctx, firstReport, nil)
	for ctx.Err() == nil {
		r.report(ctx)
		rest(ctx, reportEvery, nil)
	}
	last, cancel := context.WithTimeout(context.Background(), lastReport)
	defer cancel()
	r.report(last)
}

func (r *reporter) report(ctx context.Context) {
	if body, err := json.Marshal(r.request(time.Now())); err == nil {
		_, _, _ = post(ctx, r.url, body)
	}
}

type object map[string]any

// request returns an ExportMetricsServiceRequest (opentelemetry-proto, metrics_service.proto).
func (r *reporter) request(now time.Time) object {
	told := r.spool.count()
	delivered := records(now, told.delivered)
	delivered["startTimeUnixNano"] = text(r.begun.UnixNano())
	metrics := []object{
		sum("microapp.log.delivered", delivered),
		sum("microapp.log.dropped", records(now, told.dropped)), // of all runs, the first of which nobody knows
		gauge("microapp.log.backlog", "{record}", records(now, told.waiting)),
	}
	if !told.last.IsZero() {
		metrics = append(metrics, gauge("microapp.log.last_delivered_time", "s", seconds(now, told.last.UnixNano())))
	}
	if since := r.spool.since(); since > 0 {
		metrics = append(metrics, gauge("microapp.log.backlog_since_time", "s", seconds(now, since)))
	}
	scoped := []object{{"scope": object{"name": scope}, "metrics": metrics}}
	return object{"resourceMetrics": []object{{"resource": object{}, "scopeMetrics": scoped}}}
}

// sum is a counter that only grows.
func sum(name string, point object) object {
	held := object{"aggregationTemporality": cumulative, "isMonotonic": true, "dataPoints": []object{point}}
	return object{"name": name, "unit": "{record}", "sum": held}
}

func gauge(name, unit string, point object) object {
	return object{"name": name, "unit": unit, "gauge": object{"dataPoints": []object{point}}}
}

// whole is a number of records.
func records(now time.Time, value int64) object {
	return object{"timeUnixNano": text(now.UnixNano()), "asInt": text(value)}
}

// seconds is a point in time, given in nanoseconds since 1970.
func seconds(now time.Time, value int64) object {
	return object{"timeUnixNano": text(now.UnixNano()), "asDouble": float64(value) / float64(time.Second)}
}

// text is how OTLP in JSON has 64-bit integers.
func text(value int64) string {
	return strconv.FormatInt(value, 10)
}
