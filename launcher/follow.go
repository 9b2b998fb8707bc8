package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	lookEvery = 100 * time.Millisecond
	linger    = 5 * time.Second // how long a file that was renamed is read on: who writes to it may not know yet
	freeAfter = 1 << 20         // bytes of a file that are read before its space is given back
	block     = 4096
	followed  = "file" // what stands in a note for the stream
)

// follower reads what the app appends to a file, and gives back the space of what it has read: the file seems to grow
// for ever and takes no more room than the app is ahead. It follows a file that is renamed and begun anew, or emptied.
type follower struct {
	to     recorder // how records of each file are kept
	place  string   // a file that keeps how far each was read, for the next run
	names  *names
	files  []*tail // those that are read, oldest first
	buffer []byte
	ended  chan struct{}
}

// newFollower is to be called before the app starts, which may rename the file at once.
func newFollower(path string, spool *spool, number *atomic.Uint64) *follower {
	f := &follower{
		to:     recorder{spool: spool, stream: followed, number: number},
		place:  filepath.Join(spool.folder, "offset"),
		names:  newNames(path),
		buffer: make([]byte, chunk),
		ended:  make(chan struct{}),
	}
	f.resume(filepath.Dir(path))
	f.begin()
	return f
}

func (f *follower) end() { close(f.ended) }

// run reads until the app has ended, and then what there is left.
func (f *follower) run() {
	for over := false; !over; {
		select {
		case <-f.ended:
			over = true
		case <-f.names.happened:
		case <-time.After(lookEvery):
		}
		f.look()
	}
	for _, each := range f.files {
		each.to.end()
	}
	f.remember()
}

// resume opens the files that the run before has not read to the end, whatever they are called now.
func (f *follower) resume(folder string) {
	content, _ := os.ReadFile(f.place)
	entries, _ := os.ReadDir(folder)
	for line := range strings.Lines(string(content)) {
		var inode uint64
		var offset int64
		if count, _ := fmt.Sscan(line, &inode, &offset); count < 2 {
			continue
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil || !info.Mode().IsRegular() || info.Sys().(*syscall.Stat_t).Ino != inode {
				continue
			}
			if file, err := os.Open(filepath.Join(folder, entry.Name())); err == nil {
				f.add(file, offset)
				break
			}
		}
	}
}

// begin opens the files that have come.
func (f *follower) begin() {
	for _, file := range f.names.fresh() {
		inode := inodeOf(file)
		if slices.ContainsFunc(f.files, func(each *tail) bool { return each.inode == inode }) {
			file.Close()
		} else {
			f.add(file, 0)
		}
	}
}

// add has a file be read from offset on.
func (f *follower) add(file *os.File, offset int64) {
	begun := &tail{file: file, inode: inodeOf(file), offset: offset, freed: offset, since: time.Now(), to: f.to}
	f.files = append(f.files, begun)
}

// look takes what is new. A file that has a successor is read for some time more.
func (f *follower) look() {
	f.begin()
	for index := 0; index < len(f.files); index++ {
		for each := f.files[index]; each.read(f.buffer); f.begin() {
			f.remember()
			each.free(each.settled()/block*block, freeAfter)
		}
	}
	for len(f.files) > 1 && time.Since(f.files[0].since) > linger {
		f.files[0].finish()
		f.files = f.files[1:]
		f.remember()
	}
}

// remember is done after the records are kept: a kill in between has some come twice.
func (f *follower) remember() {
	var content []byte
	for _, each := range f.files {
		content = fmt.Appendf(content, "%d %d\n", each.inode, each.settled())
	}
	partial := f.place + ".partial"
	err := os.WriteFile(partial, content, 0o600)
	if err == nil {
		err = os.Rename(partial, f.place)
	}
	if err != nil {
		complain(err)
	}
}

// tail is a file that something may be appended to. since: when it was opened, or something new was found.
type tail struct {
	file   *os.File
	inode  uint64
	offset int64
	freed  int64
	since  time.Time
	to     recorder
}

// read takes some of what is new; false when there is nothing.
func (t *tail) read(buffer []byte) bool {
	info, err := t.file.Stat()
	if err == nil && info.Size() < t.offset {
		t.to.end()
		t.offset, t.freed = 0, 0
	}
	if err == nil && info.Size() == t.offset {
		return false
	}
	read, err := t.file.ReadAt(buffer, t.offset)
	if err != nil && !errors.Is(err, io.EOF) {
		complain(err)
	}
	if read == 0 {
		return false
	}
	t.to.add(buffer[:read])
	t.offset += int64(read)
	t.since = time.Now()
	return true
}

// settled is how far all that was read is in records that are kept: what has come of a line without its end is not.
func (t *tail) settled() int64 {
	return t.offset - int64(len(t.to.lines.rest))
}

// finish leaves nothing of the file but its name and size.
func (t *tail) finish() {
	t.to.end()
	t.free((t.offset+block-1)/block*block, 1)
	t.file.Close()
}

// free gives back the space of what was read, up to end, if it is at least so much (fallocate(2),
// FALLOC_FL_PUNCH_HOLE and FALLOC_FL_KEEP_SIZE).
func (t *tail) free(end, least int64) {
	if end-t.freed < least {
		return
	}
	file, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", t.file.Fd()), os.O_WRONLY, 0)
	if err == nil {
		err = syscall.Fallocate(int(file.Fd()), 0x02|0x01, t.freed, end-t.freed)
		file.Close()
	}
	if err != nil {
		complain(fmt.Errorf("%s: its space can't be given back: %w", t.file.Name(), err))
	}
	t.freed = end
}

func inodeOf(file *os.File) uint64 {
	var found syscall.Stat_t
	_ = syscall.Fstat(int(file.Fd()), &found) // an open file has one
	return found.Ino
}
