package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	leastRoom   = 8 << 20                // bytes
	pipeRoom    = 1 << 20                // bytes the app can write while nobody reads; what Linux gives who has no privilege
	chunk       = 128 << 10              // bytes read at once
	coalesce    = 20 * time.Millisecond  // how long what the app writes is gathered in the pipe before it is read
	look        = 50 * time.Millisecond  // how soon the end of the app is noticed where orphans keep its output open
	orphans     = 500 * time.Millisecond // how long processes the app leaves behind are listened to
	setPipeSize = 1031                   // F_SETPIPE_SZ (fcntl(2))
	memory      = 24 << 20               // bytes our own heap should not exceed: it is the app's memory
)

// tee runs program as a child and returns the status it ended with, once what it wrote is delivered or asked.drain over.
func tee(program string, asked order) (int, error) {
	debug.SetMemoryLimit(memory)
	seed := make([]byte, 8)
	_, _ = rand.Read(seed) // never fails (crypto/rand)
	spool, err := openSpool(asked.spool, asked.room, hex.EncodeToString(seed))
	if err != nil {
		return 126, fmt.Errorf("spool: %w", err)
	}
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	var streams []*stream
	if asked.follow == "" {
		if streams, err = newStreams(files); err != nil {
			return 126, err
		}
	}
	signals := catch()
	process, err := os.StartProcess(program, asked.command, &os.ProcAttr{Env: asked.environment, Files: files})
	if err != nil {
		return 126, fmt.Errorf("%s can't be run: %w", program, err)
	}
	go handOn(signals, process)
	var number atomic.Uint64
	var reading, sending sync.WaitGroup
	over := make(chan struct{})
	for _, each := range streams {
		each.theirs.Close()
		reading.Go(func() { each.copy(&recorder{spool: spool, stream: each.name, number: &number}, over) })
	}
	if asked.follow != "" {
		reading.Go(func() { newFollower(asked.follow, spool, &number).run(over) })
	}
	ended := make(chan struct{})
	sender := forwarder{url: asked.forward, spool: spool}
	sending.Go(func() { sender.run(ended, asked.drain) })
	status := wait(process.Pid)
	close(over)
	reading.Wait()
	close(ended)
	sending.Wait()
	spool.close()
	if waiting, _ := spool.left(); waiting > 0 {
		fmt.Fprintf(os.Stderr, "launcher: %d records are not delivered; they wait in %s\n", waiting, asked.spool)
	}
	return status, nil
}

// stream is one of the app's: what comes through the pipe goes on to passed.
type stream struct {
	name   string
	passed *os.File
	ours   int // a descriptor the runtime's poller doesn't know, which every single write of the app would wake
	theirs *os.File
}

// newStreams puts pipes in the place of standard output and error in files.
func newStreams(files []*os.File) ([]*stream, error) {
	var streams []*stream
	for index, name := range []string{"stdout", "stderr"} {
		var ends [2]int
		if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
			return nil, os.NewSyscallError("pipe2", err)
		}
		_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(ends[1]), setPipeSize, pipeRoom) // a smaller one does, too
		theirs := os.NewFile(uintptr(ends[1]), name)
		streams = append(streams, &stream{name, files[index+1], ends[0], theirs})
		files[index+1] = theirs
	}
	return streams, nil
}

// copy returns when nobody can write any more, or some time after ended is closed.
func (s *stream) copy(to *recorder, ended <-chan struct{}) {
	defer to.end()
	buffer := make([]byte, chunk)
	var last time.Time
	for last.IsZero() || time.Now().Before(last) {
		select {
		case <-ended:
			if last.IsZero() {
				last = time.Now().Add(orphans)
			}
		default:
		}
		if !readable(s.ours) {
			continue
		}
		read, err := syscall.Read(s.ours, buffer)
		if read > 0 {
			_, _ = s.passed.Write(buffer[:read]) // where nobody listens any more the records still count
			to.add(buffer[:read])
		}
		if read == 0 || err != nil && err != syscall.EINTR {
			return
		}
		if read < len(buffer) && last.IsZero() {
			time.Sleep(coalesce)
		}
	}
}

// readable waits for something to read, or the end, but no longer than look.
func readable(descriptor int) bool {
	var wanted syscall.FdSet
	wanted.Bits[descriptor/64] |= 1 << (descriptor % 64)
	timeout := syscall.NsecToTimeval(int64(look))
	ready, err := syscall.Select(descriptor+1, &wanted, nil, nil, &timeout)
	return err == nil && ready > 0
}

// recorder turns what an app writes into records of spool. number: of the latest record, of all recorders.
type recorder struct {
	spool  *spool
	stream string
	number *atomic.Uint64
	lines  lines
	notes  bytes.Buffer
	count  int64
}

func (r *recorder) add(written []byte) {
	r.lines.add(written, r.keep)
	r.flush()
}

// end takes what has come without a line's end as a line.
func (r *recorder) end() {
	r.lines.end(r.keep)
	r.flush()
}

func (r *recorder) keep(line []byte, part int) {
	note(&r.notes, r.number.Add(1), time.Now().UnixNano(), r.stream, part, line)
	r.count++
}

func (r *recorder) flush() {
	if r.count > 0 {
		r.spool.add(r.notes.Bytes(), r.count)
		r.notes.Reset()
		r.count = 0
	}
}

// complain says an error once: what goes wrong at every look would fill the log.
func complain(err error) {
	if _, said := complaints.LoadOrStore(err.Error(), true); !said {
		fmt.Fprintln(os.Stderr, "launcher:", err)
	}
}

var complaints sync.Map
