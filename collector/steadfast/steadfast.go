// Package steadfast keeps records that a sink says no to.
//
// What an exporter over HTTP takes for final, it throws away, and by the rules of OTLP that is almost every answer: an
// expired key (401, 403), a mistyped path (404), a server with a fault (500). None of those is about the records, so they
// are asked again here until somebody has mended it. Only 400 and 413 are about the records: they stay final, or what a
// sink will never take would hold up the rest. A redirect isn't followed: as a rule it leads to a page that says yes to
// anybody, and the credentials would go there, too. For the same reason a page (text/html) is no success, whatever its
// status, and what answers without the headers that its kind of sink always has isn't one.
package steadfast

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensionmiddleware"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/protobuf/encoding/protowire"
)

const (
	name       = "microapps.dev/collector/steadfast"
	retryAfter = "Retry-After"
	protobuf   = "application/x-protobuf"
	// Of an answer so much is read, for the sake of its connection, which serves the next request then.
	drained = 1 << 16
)

// Config is of the sinks that one such extension stands before.
type Config struct {
	// AnswersWith are headers that a success has when it is from such a sink, and their values.
	AnswersWith map[string]string `mapstructure:"answers_with"`
}

// NewFactory makes the extension "steadfast", for the `middlewares` of exporters.
func NewFactory() extension.Factory {
	settings := func() component.Config { return &Config{} }
	return extension.NewFactory(component.MustNewType("steadfast"), settings, create, component.StabilityLevelStable)
}

type steadfast struct {
	component.StartFunc
	component.ShutdownFunc
	config   *Config
	refusals metric.Int64Counter
	rejected metric.Int64Counter
}

var _ extensionmiddleware.HTTPClient = (*steadfast)(nil)

func create(_ context.Context, settings extension.Settings, config component.Config) (extension.Extension, error) {
	meter := settings.MeterProvider.Meter(name)
	refusals, err := meter.Int64Counter(
		"microapp.log.sink.refusals",
		metric.WithDescription("Answers of sinks that weren't a success, by their status."),
		metric.WithUnit("{answer}"),
	)
	if err != nil {
		return nil, err
	}
	rejected, err := meter.Int64Counter(
		"microapp.log.sink.rejected",
		metric.WithDescription("Records that a sink refused for good within an answer that was a success."),
		metric.WithUnit("{record}"),
	)
	return &steadfast{config: config.(*Config), refusals: refusals, rejected: rejected}, err
}

// GetHTTPRoundTripper is asked by each exporter at its start.
func (s *steadfast) GetHTTPRoundTripper(context.Context) (extensionmiddleware.WrapHTTPRoundTripperFunc, error) {
	return func(_ context.Context, next http.RoundTripper) (http.RoundTripper, error) {
		return &sender{next, s}, nil
	}, nil
}

type sender struct {
	next http.RoundTripper
	*steadfast
}

// RoundTrip hands a request on, and makes a "not now" of what the exporter would take for a "never", or for a "yes" that
// it isn't.
func (s *sender) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := s.next.RoundTrip(request)
	if err != nil {
		return answer, err
	}
	sink := attribute.String("server.address", request.URL.Host)
	if answer.StatusCode/100 == 2 {
		flaw := s.flaw(answer)
		if flaw == "" {
			if err := s.count(request.Context(), answer, sink); err != nil {
				return nil, err
			}
			return answer, nil
		}
		soften(answer, flaw)
		s.refusals.Add(request.Context(), 1, metric.WithAttributes(sink, attribute.String("status", "no sink")))
		return answer, nil
	}
	status := attribute.String("status", strconv.Itoa(answer.StatusCode))
	s.refusals.Add(request.Context(), 1, metric.WithAttributes(sink, status))
	switch answer.StatusCode {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge: // final
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
	default:
		soften(answer, "")
	}
	return answer, nil
}

// flaw is why a success is none: it is from something else than the sink. Empty when it is one.
func (s *sender) flaw(answer *http.Response) string {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if kind == "text/html" {
		return " with a page (text/html)"
	}
	for header, value := range s.config.AnswersWith {
		if answer.Header.Get(header) != value {
			return fmt.Sprintf(" without %s: %s", header, value)
		}
	}
	return ""
}

// count notes what a success says it has refused (opentelemetry-proto, ExportLogsPartialSuccess), and leaves the answer as
// it was.
func (s *sender) count(ctx context.Context, answer *http.Response, sink attribute.KeyValue) error {
	if answer.Header.Get("Content-Type") != protobuf {
		return nil
	}
	said, err := io.ReadAll(io.LimitReader(answer.Body, drained))
	if err != nil {
		_ = answer.Body.Close()
		return err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(said), answer.Body), answer.Body}
	response := plogotlp.NewExportResponse()
	if response.UnmarshalProto(said) == nil { // what is no such response, its exporter complains of
		if records := response.PartialSuccess().RejectedLogRecords(); records > 0 {
			s.rejected.Add(ctx, records, metric.WithAttributes(sink))
		}
	}
	return nil
}

// soften makes a 503 of an answer. The exporter looks for words in its body, as OTLP has it (google.rpc.Status, whose
// field 2 is the message), and logs them: that is where the true status is, and flaw, what is wrong with it besides.
func soften(answer *http.Response, flaw string) {
	said := fmt.Sprintf("asked again after %d %s%s", answer.StatusCode, http.StatusText(answer.StatusCode), flaw)
	body := protowire.AppendString(protowire.AppendTag(nil, 2, protowire.BytesType), said)
	_, _ = io.CopyN(io.Discard, answer.Body, drained)
	_ = answer.Body.Close()
	header := http.Header{"Content-Type": {protobuf}}
	if later := answer.Header.Values(retryAfter); len(later) > 0 {
		header[retryAfter] = later
	}
	answer.StatusCode, answer.Header = http.StatusServiceUnavailable, header
	answer.Status = "503 " + http.StatusText(answer.StatusCode)
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	answer.TransferEncoding, answer.Uncompressed = nil, false
}
