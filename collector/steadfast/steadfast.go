// Package steadfast keeps records that a sink says no to.
//
// What an exporter over HTTP takes for final, it throws away, and by the rules of OTLP that is almost every answer: an
// expired key (401, 403), a mistyped path (404), a server with a fault (500). None of those is about the records, so they
// are asked again here until somebody has mended it. Only 400 and 413 are about the records: they stay final, or what a
// sink will never take would hold up the rest. A redirect isn't followed: as a rule it leads to a page that says yes to
// anybody, and the credentials would go there, too.
package steadfast

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	name       = "microapps.dev/collector/steadfast"
	retryAfter = "Retry-After"
	// Of an answer so much is read, for the sake of its connection, which serves the next request then.
	drained = 1 << 16
)

// NewFactory makes the extension "steadfast", for the `middlewares` of exporters; it has no settings.
func NewFactory() extension.Factory {
	settings := func() component.Config { return &struct{}{} }
	return extension.NewFactory(component.MustNewType("steadfast"), settings, create, component.StabilityLevelStable)
}

type steadfast struct {
	component.StartFunc
	component.ShutdownFunc
	refusals metric.Int64Counter
}

var _ extensionmiddleware.HTTPClient = (*steadfast)(nil)

func create(_ context.Context, settings extension.Settings, _ component.Config) (extension.Extension, error) {
	refusals, err := settings.MeterProvider.Meter(name).Int64Counter(
		"microapp.log.sink.refusals",
		metric.WithDescription("Answers of sinks that weren't a success, by their status."),
		metric.WithUnit("{answer}"),
	)
	return &steadfast{refusals: refusals}, err
}

// GetHTTPRoundTripper is asked by each exporter at its start.
func (s *steadfast) GetHTTPRoundTripper(context.Context) (extensionmiddleware.WrapHTTPRoundTripperFunc, error) {
	return func(_ context.Context, next http.RoundTripper) (http.RoundTripper, error) {
		return &sender{next, s.refusals}, nil
	}, nil
}

type sender struct {
	next     http.RoundTripper
	refusals metric.Int64Counter
}

// RoundTrip hands a request on, and makes a "not now" of what the exporter would take for a "never".
func (s *sender) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := s.next.RoundTrip(request)
	if err != nil || answer.StatusCode/100 == 2 {
		return answer, err
	}
	s.refusals.Add(request.Context(), 1, metric.WithAttributes(
		attribute.String("server.address", request.URL.Host),
		attribute.String("status", strconv.Itoa(answer.StatusCode)),
	))
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge: // final
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		soften(answer)
	}
	return answer, nil
}

// soften makes a 503 of an answer. The exporter looks for words in its body, as OTLP has it (google.rpc.Status, whose
// field 2 is the message), and logs them: that is where the true status is.
func soften(answer *http.Response) {
	said := fmt.Sprintf("asked again after %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	body := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), said)
	_, _ = io.CopyN(io.Discard, answer.Body, drained)
	_ = answer.Body.Close()
	header := http.Header{"Content-Type": {"application/x-protobuf"}}
	if later := answer.Header.Values(retryAfter); len(later) > 0 {
		header[retryAfter] = later
	}
	answer.StatusCode, answer.Header = http.StatusServiceUnavailable, header
	answer.Status = "503 " + http.StatusText(answer.StatusCode)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer.TransferEncoding, answer.Uncompressed = nil, false
}
