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
	answerIn = 10 * time.Second
	patience = 5 * time.Second // the longest pause after a failure
)

// forwarder delivers what is in spool to the OTLP receiver at url: at least once, and for as long as it takes.
type forwarder struct {
	url    string
	spool  *spool
	client http.Client
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
		delivered, err := f.once(ctx)
		switch {
		case err != nil:
			if rest(ctx, pause, early) {
				pause, early = gather, nil
			} else if early != nil {
				pause = min(2*pause, patience)
			}
		case delivered:
			pause = gather
		default:
			select {
			case <-ended:
				return
			case <-f.spool.more:
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

// once delivers some records; false when there are none. An error is worth another try.
func (f *forwarder) once(ctx context.Context) (bool, error) {
	batch, err := f.spool.next(batchMax)
	if batch == nil || err != nil {
		return false, err
	}
	notes := bytes.Split(bytes.TrimSuffix(batch.notes, []byte("\n")), []byte("\n"))
	rejected, err := f.post(ctx, f.request(batch.run, notes), int64(len(notes)))
	batch.settle(err == nil, rejected)
	return err == nil, err
}

// request returns an ExportLogsServiceRequest (opentelemetry-proto, logs_service.proto) in JSON.
func (f *forwarder) request(run string, notes [][]byte) []byte {
	_, dropped := f.spool.left()
	body := new(bytes.Buffer)
	fmt.Fprintf(body, `{"resourceLogs":[{"resource":{"attributes":[{"key":"microapp.log.dropped","value":{"intValue":"%d"}}]},`, dropped)
	body.WriteString(`"scopeLogs":[{"scope":{"name":"microapps.dev/launcher"},"logRecords":[`)
	for index, note := range notes {
		if index > 0 {
			body.WriteByte(',')
		}
		logRecord(body, run, note)
	}
	body.WriteString(`]}]}]}`)
	return body.Bytes()
}

// post returns how many of the records the receiver will never take. Without an answer it is to be tried again, and so is
// any refusal but of the request itself: what else OTLP calls final (opentelemetry-proto, "Failures") a changed
// configuration of the receiver may mend.
func (f *forwarder) post(ctx context.Context, body []byte, records int64) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, answerIn)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := f.client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	switch response.StatusCode {
	case http.StatusOK:
		return rejectedOf(said), err
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
		return records, nil
	default:
		return 0, fmt.Errorf("%s: %s", f.url, response.Status)
	}
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
