package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"
)

// spool keeps records in a folder until they are delivered: in files of which the oldest go when there is no room.
//
// What it holds outlives this process, not the pod. To add takes no longer than a write to the page cache, whatever
// becomes of the records. What is dropped is counted, over all processes that ever used the folder.
type spool struct {
	folder string
	run    string
	room   int64 // bytes all files may have
	each   int64 // bytes after which a new one is begun
	mutex  sync.Mutex
	files  []*segment // oldest first; records are added to the last
	open   *os.File   // the last one, for adding
	mark   *os.File   // keeps how much of the oldest is delivered, for the next run
	size   int64
	told   counts
	stuck  int64         // when the oldest of the records dropped since the last delivery was written
	more   chan struct{} // holds one when there is something new
}

// segment is one file, written by one run of the launcher. Its first taken bytes, which are delivered records, are done
// with.
type segment struct {
	number    uint64
	run       string
	size      int64
	records   int64
	taken     int64
	delivered int64
	busy      bool // being delivered: neither dropped nor counted as lost
}

// counts is of records. dropped: over all runs; delivered: in this one, most recently at last.
type counts struct {
	waiting   int64
	delivered int64
	dropped   int64
	last      time.Time
}

const (
	ending  = ".records"
	counted = "dropped"
	marked  = "delivered"
	mark    = "%016x %16s %016x %016x\n" // of one length, so that it can be written in place
	shares  = 8                          // files the room is divided into
	head    = 64                         // bytes of a note that hold its time
)

// openSpool takes over what an earlier run has left in folder. run: unlike that of any other.
func openSpool(folder string, room int64, run string) (*spool, error) {
	s := &spool{folder: folder, run: run, room: room, each: room / shares, more: make(chan struct{}, 1)}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		if err := s.takeOver(entry.Name()); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(s.files, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	content, err := os.ReadFile(filepath.Join(folder, counted))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if len(content) > 0 {
		if s.told.dropped, err = strconv.ParseInt(string(bytes.TrimSpace(content)), 10, 64); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", folder, counted, err)
		}
	}
	if s.mark, err = os.OpenFile(filepath.Join(folder, marked), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	s.goOn()
	return s, s.begin()
}

// takeOver counts what is in the file of that name, if it holds records.
func (s *spool) takeOver(name string) error {
	var found segment
	if _, err := fmt.Sscanf(name, "%16x-%16s"+ending, &found.number, &found.run); err != nil {
		return nil
	}
	content, err := os.ReadFile(filepath.Join(s.folder, name))
	if err != nil {
		return err
	}
	whole := int64(bytes.LastIndexByte(content, '\n') + 1) // killed in the middle of a write: half a record is none
	found.size, found.records = whole, int64(bytes.Count(content, []byte("\n")))
	s.files = append(s.files, &found)
	s.size += whole
	return nil
}

// goOn leaves out what the run before has delivered.
func (s *spool) goOn() {
	var found segment
	if _, err := fmt.Fscanf(s.mark, "%x %s %x %x", &found.number, &found.run, &found.taken, &found.delivered); err != nil {
		return // it has delivered nothing
	}
	for _, each := range s.files {
		if each.number == found.number && each.run == found.run {
			each.taken, each.delivered = found.taken, found.delivered
		}
	}
}

// add keeps notes of so many records, or counts them as dropped.
func (s *spool) add(notes []byte, records int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for s.size+int64(len(notes)) > s.room {
		if !s.drop() {
			s.lose(records)
			return
		}
	}
	last := s.files[len(s.files)-1]
	if last.size >= s.each {
		if err := s.begin(); err != nil {
			s.lose(records)
			return
		}
		last = s.files[len(s.files)-1]
	}
	written, err := s.open.Write(notes)
	if err != nil {
		_ = s.open.Truncate(last.size) // a part of one is none
		_, _ = s.open.Seek(last.size, 0)
		s.lose(records)
		return
	}
	last.size += int64(written)
	last.records += records
	s.size += int64(written)
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// close removes what is delivered; what isn't waits for the next run.
func (s *spool) close() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for len(s.files) > 0 && s.files[0].taken == s.files[0].size {
		s.remove(0)
	}
	if len(s.files) == 0 {
		_ = os.Remove(s.mark.Name())
	}
	s.open.Close()
	s.mark.Close()
}

// count returns how many records wait, and how others fared.
func (s *spool) count() counts {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	told := s.told
	for _, each := range s.files {
		told.waiting += each.records - each.delivered
	}
	return told
}

// since returns when the oldest record that waits, or waited in vain since the last delivery, was written, in
// nanoseconds since 1970; 0 when none waits.
func (s *spool) since() int64 {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.oldest()
}

func (s *spool) oldest() int64 {
	for _, each := range s.files {
		if s.stuck == 0 && each.taken < each.size {
			note, _ := s.read(each, head)
			if fields := bytes.SplitN(note, []byte(" "), 3); len(fields) == 3 {
				written, _ := strconv.ParseInt(string(fields[1]), 10, 64)
				return written
			}
		}
	}
	return s.stuck
}

// drop gives up the oldest file that nobody is at work on; false when there is none but the one records are added to.
func (s *spool) drop() bool {
	for index, each := range s.files[:len(s.files)-1] {
		if !each.busy {
			s.stuck = s.oldest()
			s.lose(each.records - each.delivered)
			s.remove(index)
			return true
		}
	}
	return false
}

func (s *spool) lose(records int64) {
	if records > 0 {
		s.told.dropped += records
		partial := filepath.Join(s.folder, counted+".partial")
		if os.WriteFile(partial, []byte(strconv.FormatInt(s.told.dropped, 10)+"\n"), 0o600) == nil {
			_ = os.Rename(partial, filepath.Join(s.folder, counted))
		}
	}
}

func (s *spool) remove(index int) {
	_ = os.Remove(s.path(s.files[index]))
	s.size -= s.files[index].size
	s.files = slices.Delete(s.files, index, index+1)
}

// begin opens a new file to add to.
func (s *spool) begin() error {
	number := uint64(1)
	if len(s.files) > 0 {
		number = s.files[len(s.files)-1].number + 1
	}
	fresh := &segment{number: number, run: s.run}
	file, err := os.OpenFile(s.path(fresh), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if s.open != nil {
		s.open.Close()
	}
	s.open = file
	s.files = append(s.files, fresh)
	return nil
}

func (s *spool) path(each *segment) string {
	return filepath.Join(s.folder, fmt.Sprintf("%016x-%s%s", each.number, each.run, ending))
}
