package main

import (
	"os"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	chunk       = 128 << 10              // bytes read at once
	pipeRoom    = 256 << 10              // bytes the app can write while nobody reads
	aim         = pipeRoom / 8           // bytes to find in the pipe
	shortPause  = time.Millisecond       // how long what the app writes is gathered in the pipe before it is read,
	longPause   = 50 * time.Millisecond  // at least and at most
	orphans     = 500 * time.Millisecond // how long processes the app leaves behind are listened to
	noteRoom    = 256 << 10              // bytes of records that are added to the spool at once
	setPipeSize = 1031                   // F_SETPIPE_SZ (fcntl(2))
)

// stream is one of the app's: what comes through the pipe goes on to passed, and to to.
//
// It sleeps while little comes and has no thread wait: each wake-up costs more than what there is to do. A file in the
// runtime's poller is woken by each write of the app; hence a poller in the poller, which is woken once when asked to.
type stream struct {
	to     recorder
	passed *os.File
	theirs *os.File
	ours   int
	poller *os.File
	ended  chan struct{} // closed when the app has ended
	last   time.Time     // then, until when it is listened to
}

// newStreams puts pipes in the place of standard output and error in files.
func newStreams(files []*os.File, spool *spool, number *atomic.Uint64) ([]source, error) {
	var streams []source
	for index, name := range []string{"stdout", "stderr"} {
		var ends [2]int
		if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
			return nil, os.NewSyscallError("pipe2", err)
		}
		_, _, _ = syscall.Syscall(syscall.SYS_FCNTL, uintptr(ends[1]), setPipeSize, pipeRoom) // a smaller one does, too
		if err := syscall.SetNonblock(ends[0], true); err != nil {
			return nil, os.NewSyscallError("fcntl", err)
		}
		poller, err := newPoller(ends[0])
		if err != nil {
			return nil, err
		}
		theirs := os.NewFile(uintptr(ends[1]), name)
		streams = append(streams, &stream{
			to:     recorder{spool: spool, stream: name, number: number},
			passed: files[index+1],
			theirs: theirs,
			ours:   ends[0],
			poller: poller,
			ended:  make(chan struct{}),
		})
		files[index+1] = theirs
	}
	return streams, nil
}

// newPoller returns a file that is readable once descriptor is, after having been armed.
func newPoller(descriptor int) (*os.File, error) {
	poller, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	if err := syscall.EpollCtl(poller, syscall.EPOLL_CTL_ADD, descriptor, &syscall.EpollEvent{}); err != nil {
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	if err := syscall.SetNonblock(poller, true); err != nil { // by which the runtime knows that it can wait for it
		return nil, os.NewSyscallError("fcntl", err)
	}
	return os.NewFile(uintptr(poller), "epoll"), nil
}

// end has run return when nobody can write any more, or some time after.
func (s *stream) end() {
	s.last = time.Now().Add(orphans)
	_ = s.poller.SetReadDeadline(s.last)
	close(s.ended)
}

// run returns when nobody can write any more, or as end says.
func (s *stream) run() {
	s.theirs.Close() // the app has it
	defer s.to.end()
	buffer := make([]byte, chunk)
	for pause := shortPause; ; {
		read, err := syscall.Read(s.ours, buffer)
		switch {
		case read > 0:
			_, _ = s.passed.Write(buffer[:read]) // where nobody listens any more the records still count
			s.to.add(buffer[:read])
			pause = max(shortPause, min(2*pause, longPause, pause*aim/time.Duration(read)))
			if s.over(pause, read) {
				return
			}
		case err == syscall.EAGAIN:
			if s.wait() != nil {
				return
			}
		case err != syscall.EINTR:
			return
		}
	}
}

// over gathers for as long as pause, unless the app writes so much that its pipe would be full; true when it is time to
// return.
func (s *stream) over(pause time.Duration, read int) bool {
	if read > aim && pause == shortPause {
		pause = 0
	}
	select {
	case <-s.ended:
		return time.Now().After(s.last)
	case <-time.After(pause):
		return false
	}
}

// wait returns once there is something to read, or with an error when it is time to return.
func (s *stream) wait() error {
	connection, err := s.poller.SyscallConn()
	if err != nil {
		return err
	}
	return connection.Read(func(poller uintptr) bool {
		event := []syscall.EpollEvent{{Events: syscall.EPOLLIN | syscall.EPOLLONESHOT}}
		_ = syscall.EpollCtl(int(poller), syscall.EPOLL_CTL_MOD, s.ours, &event[0]) // it is there: newPoller
		found, err := syscall.EpollWait(int(poller), event, 0)
		return found > 0 || err != nil && err != syscall.EINTR
	})
}

// recorder turns what an app writes into records of spool. number: of the latest record, of all recorders.
type recorder struct {
	spool  *spool
	stream string
	number *atomic.Uint64
	lines  lines
	now    int64
	notes  []byte
	count  int64
}

func (r *recorder) add(written []byte) {
	r.now = time.Now().UnixNano()
	r.lines.add(written, r.keep)
	r.flush()
}

// end takes what has come without a line's end as a line.
func (r *recorder) end() {
	r.now = time.Now().UnixNano()
	r.lines.end(r.keep)
	r.flush()
}

func (r *recorder) keep(line []byte, part int) {
	r.notes = appendNote(r.notes, r.number.Add(1), r.now, r.stream, part, line)
	r.count++
	if len(r.notes) >= noteRoom {
		r.flush()
	}
}

func (r *recorder) flush() {
	if r.count > 0 {
		r.spool.add(r.notes, r.count)
		r.notes = r.notes[:0]
		r.count = 0
	}
}
