package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	lookEvery = 100 * time.Millisecond
	freeAfter = 1 << 20 // bytes of a file that are read before its space is given back
	block     = 4096
	followed  = "file" // what stands in a note for the stream
)

// follower reads what the app appends to a file, and gives back the space of what it has read: the file seems to grow
// for ever and takes no more room than the app is ahead. It follows a file that is renamed and begun anew, or emptied.
type follower struct {
	path   string
	place  string // a file that keeps how far it was read, for the next run
	to     recorder
	ended  chan struct{}
	file   *os.File
	offset int64
	freed  int64
}

func newFollower(path string, spool *spool, number *atomic.Uint64) *follower {
	to := recorder{spool: spool, stream: followed, number: number}
	return &follower{path: path, place: filepath.Join(spool.folder, "offset"), to: to, ended: make(chan struct{})}
}

func (f *follower) end() { close(f.ended) }

// run reads until the app has ended, and then what there is left.
func (f *follower) run() {
	defer f.to.end()
	for over := false; !over; {
		select {
		case <-f.ended:
			over = true
		case <-time.After(lookEvery):
		}
		for f.open() && f.read() {
		}
	}
}

// open sees to it that the file is open; false while there is none.
func (f *follower) open() bool {
	if f.file != nil {
		return true
	}
	file, err := os.Open(f.path)
	if err != nil {
		if !errors.Is(err, os.ErrNotExist) {
			complain(err)
		}
		return false
	}
	f.file, f.offset, f.freed = file, 0, 0
	var inode uint64
	var offset int64
	content, _ := os.ReadFile(f.place)
	if count, _ := fmt.Sscan(string(content), &inode, &offset); count == 2 && inode == inodeOf(file) {
		f.offset, f.freed = offset, offset
	}
	return true
}

// read takes what is new; true when there may be more: the file was replaced by another.
func (f *follower) read() bool {
	buffer := make([]byte, chunk)
	for {
		read, err := f.file.ReadAt(buffer, f.offset)
		if read > 0 {
			f.to.add(buffer[:read])
			f.offset += int64(read)
			f.remember()
			f.free()
		}
		if err != nil {
			if err != io.EOF {
				complain(err)
			}
			break
		}
	}
	now, err := os.Stat(f.path)
	if err != nil || now.Sys().(*syscall.Stat_t).Ino == inodeOf(f.file) {
		if err == nil && now.Size() < f.offset {
			f.offset, f.freed = 0, 0
			return now.Size() > 0
		}
		return false
	}
	f.to.end()
	f.file.Close()
	f.file = nil
	return true
}

// settled is how far all that was read is in records that are kept: what has come of a line without its end is not.
func (f *follower) settled() int64 {
	return f.offset - int64(len(f.to.lines.rest))
}

// remember is done after the records are kept: a kill in between has some come twice.
func (f *follower) remember() {
	partial := f.place + ".partial"
	err := os.WriteFile(partial, fmt.Appendf(nil, "%d %d\n", inodeOf(f.file), f.settled()), 0o600)
	if err == nil {
		err = os.Rename(partial, f.place)
	}
	if err != nil {
		complain(err)
	}
}

// free gives back the space of what was read (fallocate(2), FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE).
func (f *follower) free() {
	end := f.settled() / block * block
	if end-f.freed < freeAfter {
		return
	}
	file, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", f.file.Fd()), os.O_WRONLY, 0)
	if err == nil {
		err = syscall.Fallocate(int(file.Fd()), 0x02|0x01, f.freed, end-f.freed)
		file.Close()
	}
	if err != nil {
		complain(fmt.Errorf("%s: its space can't be given back: %w", f.path, err))
	}
	f.freed = end
}

func inodeOf(file *os.File) uint64 {
	var found syscall.Stat_t
	_ = syscall.Fstat(int(file.Fd()), &found) // an open file has one
	return found.Ino
}
