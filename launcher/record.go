package main

import (
	"bytes"
	"strconv"
	"unicode/utf8"
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
		switch fits := end >= 0 && len(l.rest)+end <= longest; {
		case fits && len(l.rest) == 0:
			l.tell(chunk[:end], true, keep)
			chunk = chunk[end+1:]
		case fits:
			l.tell(append(l.rest, chunk[:end]...), true, keep)
			chunk = chunk[end+1:]
		case len(l.rest) == longest:
			begun := l.rest[whole(l.rest):]
			l.tell(l.rest[:len(l.rest)-len(begun)], false, keep)
			l.rest = append(l.rest, begun...)
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

// whole is how much of text ends with a whole character of UTF-8, or with what is none.
func whole(text []byte) int {
	for end := len(text) - 1; end > len(text)-utf8.UTFMax; end-- {
		if utf8.RuneStart(text[end]) {
			if utf8.FullRune(text[end:]) {
				break
			}
			return end
		}
	}
	return len(text)
}

// appendNote appends how a record is kept: number, nanoseconds since 1970, stream, part and the line as JSON, which has
// no line's end in it.
func appendNote(kept []byte, number uint64, now int64, stream string, part int, line []byte) []byte {
	kept = append(strconv.AppendUint(kept, number, 10), ' ')
	kept = append(strconv.AppendInt(kept, now, 10), ' ')
	kept = append(append(kept, stream...), ' ')
	kept = append(strconv.AppendInt(kept, int64(part), 10), ' ')
	return append(appendText(kept, line), '\n')
}

// appendText appends line as a text in JSON (RFC 8259). What is no UTF-8 becomes U+FFFD.
func appendText(kept, line []byte) []byte {
	const digits = "0123456789abcdef"
	kept = append(kept, '"')
	plain := 0 // where what needs no change begins
	for index := 0; index < len(line); {
		letter := line[index]
		if letter >= ' ' && letter != '"' && letter != '\\' && letter < utf8.RuneSelf {
			index++
			continue
		}
		size := 1
		if letter >= utf8.RuneSelf {
			var read rune
			if read, size = utf8.DecodeRune(line[index:]); read != utf8.RuneError || size > 1 {
				index += size
				continue
			}
		}
		kept = append(kept, line[plain:index]...)
		switch {
		case letter >= utf8.RuneSelf:
			kept = append(kept, string(utf8.RuneError)...)
		case letter < ' ':
			kept = append(kept, '\\', 'u', '0', '0', digits[letter>>4], digits[letter&15])
		default:
			kept = append(kept, '\\', letter)
		}
		index += size
		plain = index
	}
	return append(append(kept, line[plain:]...), '"')
}

// appendRecord appends the OTLP log record (opentelemetry-proto, logs.proto) of a note made in the run of that name.
func appendRecord(request []byte, run string, note []byte) []byte {
	fields := bytes.SplitN(note, []byte(" "), 5)
	request = append(append(request, `{"observedTimeUnixNano":"`...), fields[1]...)
	request = append(append(request, `","body":{"stringValue":`...), fields[4]...)
	request = append(append(request, `},"attributes":[{"key":"log.record.uid","value":{"stringValue":"`...), run...)
	request = append(append(append(request, '-'), fields[0]...), `"}}`...)
	if string(fields[2]) != followed {
		request = append(append(request, `,{"key":"log.iostream","value":{"stringValue":"`...), fields[2]...)
		request = append(request, `"}}`...)
	}
	if string(fields[3]) != "0" {
		request = append(append(request, `,{"key":"microapp.log.part","value":{"intValue":"`...), fields[3]...)
		request = append(request, `"}}`...)
	}
	return append(request, "]}"...)
}
