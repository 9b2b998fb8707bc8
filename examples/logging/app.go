// Logs without a module: one JSON line a request, and the caller's trace handed on (W3C Trace Context, level 1).
package main

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"time"
)

var traceparents = regexp.MustCompile(`^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]([0-9a-f])(-.*)?$`)

// continueTrace gives a request's own span: in the caller's trace if the header names one, else in a new one.
func continueTrace(header string) string {
	trace, flags := randomHex(16), "01"
	if f := traceparents.FindStringSubmatch(header); f != nil && f[1] != "ff" && (f[1] != "00" || f[5] == "") &&
		strings.Trim(f[2], "0") != "" && strings.Trim(f[3], "0") != "" {
		trace, flags = f[2], map[bool]string{true: "01", false: "00"}[strings.Contains("13579bdf", f[4])]
	}
	return "00-" + trace + "-" + randomHex(8) + "-" + flags
}

func randomHex(bytes int) string {
	random := make([]byte, bytes)
	rand.Read(random)
	return hex.EncodeToString(random)
}

// callDownstream says whether the next app did its part; true when there is none.
func callDownstream(url, traceparent string) bool {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if url == "" || err != nil {
		return url == ""
	}
	request.Header.Set("traceparent", traceparent)
	answer, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	return err == nil && answer.Body.Close() == nil && answer.StatusCode < 300
}

// answer answers every request, and writes down who did what to what, and how it went.
func answer(w http.ResponseWriter, r *http.Request) {
	traceparent, outcome := continueTrace(strings.Join(r.Header.Values("traceparent"), ", ")), "success"
	if !callDownstream(os.Getenv("DOWNSTREAM"), traceparent) {
		outcome = "failure"
		defer w.WriteHeader(http.StatusBadGateway)
	}
	user := cmp.Or(r.Header.Get("x-user"), "anonymous") // whom your app has authenticated
	line, _ := json.Marshal(map[string]string{"timestamp": time.Now().Format(time.RFC3339Nano), "user_id": user,
		"action": "read", "resource": r.URL.Path, "outcome": outcome, "traceparent": traceparent})
	os.Stdout.Write(append(line, '\n'))
}

func main() {
	panic(http.ListenAndServe(":"+cmp.Or(os.Getenv("PORT"), "8080"), http.HandlerFunc(answer)))
}
