package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// longest is how many bytes of a line one record holds; a longer line becomes several, numbered from 1.
const longest = 64 << 10

// lines cuts what an app writes to one of its streams into lines.
type lines struct {
	rest []byte
	part int
}

// add takes what the app has written, and tells keep of each line in it.
func (l *lines) add(chunk []byte, keep func(line []byte, part int)) {
	for len(chunk) > 0 {
		end := bytes.IndexByte(chunk, '\n')
		switch whole := end >= 0 && len(l.rest)+end <= longest; {
		case whole && len(l.rest) == 0:
			l.tell(chunk[:end], true, keep)
			chunk = chunk[end+1:]
		case whole:
			l.tell(append(l.rest, chunk[:end]...), true, keep)
			chunk = chunk[end+1:]
		case len(l.rest) == longest:
			l.tell(l.rest, false, keep)
		default:
			room := min(longest-len(l.rest), len(chunk))
			l.rest = append(l.rest, chunk[:room]...)
			chunk = chunk[room:]
		}
	}
}

// end takes what has come without a line's end as a line.
func (l *lines) end(keep func(line []byte, part int)) {
	if len(l.rest) > 0 {
		l.tell(l.rest, true, keep)
	}
}

func (l *lines) tell(line []byte, last bool, keep func(line []byte, part int)) {
	if l.part > 0 || !last {
		l.part++
	}
	if last {
		line = bytes.TrimSuffix(line, []byte("\r"))
	}
	if len(line) > 0 {
		keep(line, l.part)
	}
	if last {
		l.part = 0
	}
	l.rest = l.rest[:0]
}

// note is how a record is kept: number, nanoseconds since 1970, stream, part and the line as JSON, which has no line's
// end in it. What is no UTF-8 becomes U+FFFD.
func note(kept *bytes.Buffer, number uint64, now int64, stream string, part int, line []byte) {
	fmt.Fprintf(kept, "%d %d %s %d ", number, now, stream, part)
	text := json.NewEncoder(kept)
	text.SetEscapeHTML(false)
	_ = text.Encode(string(line)) // which a text always can be
}

// logRecord appends the OTLP log record (opentelemetry-proto, logs.proto) of a note made in the run of that name.
func logRecord(request *bytes.Buffer, run string, note []byte) {
	fields := bytes.SplitN(note, []byte(" "), 5)
	fmt.Fprintf(request, `{"observedTimeUnixNano":"%s","body":{"stringValue":%s},"attributes":[`, fields[1], fields[4])
	fmt.Fprintf(request, `{"key":"log.record.uid","value":{"stringValue":"%s-%s"}}`, run, fields[0])
	if stream := string(fields[2]); stream != followed {
		fmt.Fprintf(request, `,{"key":"log.iostream","value":{"stringValue":"%s"}}`, stream)
	}
	if part, _ := strconv.Atoi(string(fields[3])); part > 0 {
		fmt.Fprintf(request, `,{"key":"microapp.log.part","value":{"intValue":"%d"}}`, part)
	}
	request.WriteString("]}")
}
