package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

const (
	gather   = 200 * time.Millisecond // how long records are gathered before they are sent
	batchMax = 512 << 10              // bytes of records sent at once; one record has fewer
	overhead = 192                    // bytes that a record in a request has more than its note
	answerIn = 10 * time.Second
	patience = 5 * time.Second // the longest pause after a failure
)

// forwarder delivers what is in spool to the OTLP receiver at url: at least once, and for as long as it takes.
type forwarder struct {
	url   string
	spool *spool
}

// run delivers until ended is closed, and then what is left, for no longer than drain.
func (f *forwarder) run(ended <-chan struct{}, drain time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-ended
		time.AfterFunc(drain, cancel)
	}()
	pause, early := gather, ended
	for ctx.Err() == nil {
		batch, err := f.once(ctx)
		switch {
		case err != nil:
			if rest(ctx, pause, early) {
				pause, early = gather, nil
			} else if early != nil {
				pause = min(2*pause, patience)
			}
		case batch == nil:
			select {
			case <-ended:
				return
			case <-f.spool.more:
				rest(ctx, gather, ended)
			}
		default:
			pause = gather
			if batch.last {
				rest(ctx, gather, ended)
			}
		}
	}
}

// rest waits for as long as pause, or until ctx ends or early is closed; true when early was.
func rest(ctx context.Context, pause time.Duration, early <-chan struct{}) bool {
	select {
	case <-early:
		return true
	case <-ctx.Done():
	case <-time.After(pause):
	}
	return false
}

// once delivers some records; nil when there are none. An error is worth another try.
func (f *forwarder) once(ctx context.Context) (*batch, error) {
	batch, err := f.spool.next(batchMax)
	if batch == nil || err != nil {
		return nil, err
	}
	rejected, err := f.send(ctx, batch)
	batch.settle(err == nil, rejected)
	return batch, err
}

// send returns how many of the records the receiver will never take. Without an answer it is to be tried again, and so
// is any refusal but of the request itself: what else OTLP calls final (opentelemetry-proto, "Failures") a changed
// configuration of the receiver may mend.
func (f *forwarder) send(ctx context.Context, batch *batch) (int64, error) {
	status, said, err := post(ctx, f.url, f.request(batch))
	switch {
	case err != nil:
		return 0, err
	case status == http.StatusOK:
		return rejectedOf(said), nil
	case status == http.StatusBadRequest || status == http.StatusRequestEntityTooLarge:
		return batch.records, nil
	default:
		return 0, fmt.Errorf("%s: %s", f.url, http.StatusText(status))
	}
}

// request returns an ExportLogsServiceRequest (opentelemetry-proto, logs_service.proto) in JSON.
func (f *forwarder) request(batch *batch) []byte {
	body := make([]byte, 0, len(batch.notes)+int(batch.records+2)*overhead)
	body = append(body, `{"resourceLogs":[{"resource":{"attributes":[`...)
	body = append(body, `{"key":"microapp.log.dropped","value":{"intValue":"`...)
	body = strconv.AppendInt(body, f.spool.count().dropped, 10)
	body = append(body, `"}}]},"scopeLogs":[{"scope":{"name":"`+scope+`"},"logRecords":[`...)
	for note := range bytes.Lines(batch.notes) {
		body = append(appendRecord(body, batch.run, note[:len(note)-1]), ',')
	}
	return append(body[:len(body)-1], `]}]}]}`...)
}

// post returns how the receiver at url answered to body, which is JSON.
func post(ctx context.Context, url string, body []byte) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return response.StatusCode, said, err
}

// rejectedOf reads ExportLogsPartialSuccess, in which JSON has 64-bit integers as texts.
func rejectedOf(said []byte) int64 {
	var answer struct {
		PartialSuccess struct {
			RejectedLogRecords json.Number `json:"rejectedLogRecords"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(said, &answer) != nil {
		return 0
	}
	rejected, _ := strconv.ParseInt(answer.PartialSuccess.RejectedLogRecords.String(), 10, 64)
	return rejected
}
