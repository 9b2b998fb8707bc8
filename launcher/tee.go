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
	leastRoom = 8 << 20
	pipeRoom  = 1 << 20                // bytes the app can write while nobody reads; what Linux gives who has no privilege
	coalesce  = 5 * time.Millisecond   // how long what the app writes is gathered in the pipe before it is read
	orphans   = 500 * time.Millisecond // how long processes the app leaves behind are listened to
	memory    = 24 << 20               // bytes our own heap should not exceed: it is the app's memory
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
	out, err := newStream(os.Stdout, "stdout")
	if err != nil {
		return 126, err
	}
	faults, err := newStream(os.Stderr, "stderr")
	if err != nil {
		return 126, err
	}
	signals := catch()
	files := []*os.File{os.Stdin, out.theirs, faults.theirs}
	process, err := os.StartProcess(program, asked.command, &os.ProcAttr{Env: asked.environment, Files: files})
	if err != nil {
		return 126, fmt.Errorf("%s can't be run: %w", program, err)
	}
	go handOn(signals, process)
	var number atomic.Uint64
	var reading, sending sync.WaitGroup
	for _, stream := range []*stream{out, faults} {
		stream.theirs.Close()
		reading.Go(func() { stream.copy(spool, &number) })
	}
	ended := make(chan struct{})
	sender := forwarder{url: asked.forward, spool: spool}
	sending.Go(func() { sender.run(ended, asked.drain) })
	status := wait(process.Pid)
	for _, stream := range []*stream{out, faults} {
		_ = stream.ours.SetReadDeadline(time.Now().Add(orphans))
	}
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
	ours   *os.File
	theirs *os.File
}

func newStream(passed *os.File, name string) (*stream, error) {
	ours, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if raw, err := theirs.SyscallConn(); err == nil {
		_ = raw.Control(func(descriptor uintptr) { // a smaller pipe does, too (fcntl(2), F_SETPIPE_SZ)
			_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, descriptor, 1031, pipeRoom)
		})
	}
	return &stream{name: name, passed: passed, ours: ours, theirs: theirs}, nil
}

// copy returns when nobody can write any more, or the deadline of reading is over. number: of the latest record.
func (s *stream) copy(spool *spool, number *atomic.Uint64) {
	var notes bytes.Buffer
	var records int64
	cut := lines{keep: func(line []byte, part int) {
		note(&notes, number.Add(1), time.Now().UnixNano(), s.name, part, line)
		records++
	}}
	buffer := make([]byte, 128<<10)
	for over := false; !over; {
		read, err := s.ours.Read(buffer)
		_, _ = s.passed.Write(buffer[:read]) // where nobody listens any more the records still count
		cut.add(buffer[:read])
		if over = err != nil; over {
			cut.end()
		}
		if records > 0 {
			spool.add(notes.Bytes(), records)
			notes.Reset()
			records = 0
		}
		if read < len(buffer) && !over {
			time.Sleep(coalesce)
		}
	}
}
