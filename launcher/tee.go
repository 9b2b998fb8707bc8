package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	leastRoom = 8 << 20  // bytes
	memory    = 24 << 20 // bytes our own heap should not exceed: it is the app's memory
)

// source is where an app writes to. run: reads until all is read after end, which is called when the app has ended.
type source interface {
	run()
	end()
}

// tee runs program as a child and returns the status it ended with, once what it wrote is delivered or asked.drain
// over.
func tee(program string, asked order) (int, error) {
	debug.SetMemoryLimit(memory)
	runtime.GOMAXPROCS(1) // to wake another thread costs more than what it would have to do
	seed := make([]byte, 8)
	_, _ = rand.Read(seed) // never fails (crypto/rand)
	spool, err := openSpool(asked.spool, asked.room, hex.EncodeToString(seed))
	if err != nil {
		return 126, fmt.Errorf("spool: %w", err)
	}
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	sources, err := newSources(asked.follow, files, spool)
	if err != nil {
		return 126, err
	}
	signals := catch()
	process, err := os.StartProcess(program, asked.command, &os.ProcAttr{Env: asked.environment, Files: files})
	if err != nil {
		return 126, fmt.Errorf("%s can't be run: %w", program, err)
	}
	go handOn(signals, process)
	var reading sync.WaitGroup
	for _, each := range sources {
		reading.Go(each.run)
	}
	finish := deliver(asked, spool)
	status := wait(process.Pid)
	for _, each := range sources {
		each.end()
	}
	reading.Wait()
	finish()
	spool.close()
	if waiting := spool.count().waiting; waiting > 0 {
		fmt.Fprintf(os.Stderr, "launcher: %d records are not delivered; they wait in %s\n", waiting, asked.spool)
	}
	return status, nil
}

// newSources returns what is read: the file, where there is one to follow, or else pipes, put in their places in files.
func newSources(follow string, files []*os.File, spool *spool) ([]source, error) {
	var number atomic.Uint64
	if follow != "" {
		return []source{newFollower(follow, spool, &number)}, nil
	}
	return newStreams(files, spool, &number)
}

// deliver begins to; the function it returns ends when all is delivered, or asked.drain over.
func deliver(asked order, spool *spool) func() {
	ended := make(chan struct{})
	ctx, sent := context.WithCancel(context.Background())
	forwarder := forwarder{url: asked.forward, spool: spool}
	reporter := reporter{url: strings.TrimSuffix(asked.forward, logs) + "/v1/metrics", spool: spool, begun: time.Now()}
	var sending, reporting sync.WaitGroup
	sending.Go(func() { forwarder.run(ended, asked.drain) })
	reporting.Go(func() { reporter.run(ctx) })
	return func() {
		close(ended)
		sending.Wait()
		sent()
		reporting.Wait()
	}
}

// complain says an error once: what goes wrong at every look would fill the log.
func complain(err error) {
	if _, said := complaints.LoadOrStore(err.Error(), true); !said {
		fmt.Fprintln(os.Stderr, "launcher:", err)
	}
}

var complaints sync.Map
