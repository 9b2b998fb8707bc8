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
)

// spool keeps records in a folder until they are delivered: in files of which the oldest go when there is no room.
//
// What it holds outlives this process, not the pod. To add takes no longer than a write to the page cache, whatever
// becomes of the records. What is dropped is counted, over all processes that ever used the folder.
type spool struct {
	folder  string
	run     string
	room    int64 // bytes all files may have
	each    int64 // bytes after which a new one is begun
	mutex   sync.Mutex
	files   []*segment // oldest first; records are added to the last
	open    *os.File   // the last one, for adding
	size    int64
	dropped int64
	more    chan struct{} // holds one when there is something new
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

const (
	ending  = ".records"
	counted = "dropped"
	shares  = 8 // files the room is divided into
)

// openSpool takes over what an earlier run has left in folder. run: unlike that of any other.
func openSpool(folder string, room int64, run string) (*spool, error) {
	s := &spool{folder: folder, run: run, room: room, each: room / shares, more: make(chan struct{}, 1)}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		var found segment
		if _, err := fmt.Sscanf(entry.Name(), "%16x-%16s"+ending, &found.number, &found.run); err != nil {
			continue
		}
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		whole := int64(bytes.LastIndexByte(content, '\n') + 1) // killed in the middle of a write: half a record is none
		found.size, found.records = whole, int64(bytes.Count(content, []byte("\n")))
		s.files = append(s.files, &found)
		s.size += whole
	}
	slices.SortFunc(s.files, func(a, b *segment) int { return cmp.Compare(a.number, b.number) })
	content, err := os.ReadFile(filepath.Join(folder, counted))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if len(content) > 0 {
		if s.dropped, err = strconv.ParseInt(string(bytes.TrimSpace(content)), 10, 64); err != nil {
			return nil, fmt.Errorf("%s/%s: %w", folder, counted, err)
		}
	}
	if err := s.begin(); err != nil {
		return nil, err
	}
	return s, nil
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

// batch is notes of some records of one run. last: nothing waits behind them. settle: to be called with how they fared.
type batch struct {
	notes   []byte
	records int64
	run     string
	last    bool
	settle  func(delivered bool, rejected int64)
}

// next returns the oldest records, of at most limit bytes; nil when there are none.
func (s *spool) next(limit int64) (*batch, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for len(s.files) > 1 && s.files[0].taken == s.files[0].size {
		s.remove(0)
	}
	oldest := s.files[0]
	if oldest.taken == oldest.size {
		return nil, nil
	}
	file, err := os.Open(s.path(oldest))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	notes := make([]byte, min(limit, oldest.size-oldest.taken))
	if _, err := file.ReadAt(notes, oldest.taken); err != nil {
		return nil, err
	}
	notes = notes[:bytes.LastIndexByte(notes, '\n')+1]
	records := int64(bytes.Count(notes, []byte("\n")))
	last := len(s.files) == 1 && oldest.taken+int64(len(notes)) == oldest.size
	oldest.busy = true
	return &batch{notes, records, oldest.run, last, func(delivered bool, rejected int64) {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		oldest.busy = false
		if delivered {
			oldest.taken += int64(len(notes))
			oldest.delivered += records
			s.lose(rejected)
		}
	}}, nil
}

// close removes what is delivered; what isn't waits for the next run.
func (s *spool) close() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for len(s.files) > 0 && s.files[0].taken == s.files[0].size {
		s.remove(0)
	}
	s.open.Close()
}

// left is how many records wait, and how many were dropped so far.
func (s *spool) left() (waiting, dropped int64) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, each := range s.files {
		waiting += each.records - each.delivered
	}
	return waiting, s.dropped
}

// drop gives up the oldest file that nobody is at work on; false when there is none but the one records are added to.
func (s *spool) drop() bool {
	for index, each := range s.files[:len(s.files)-1] {
		if !each.busy {
			s.lose(each.records - each.delivered)
			s.remove(index)
			return true
		}
	}
	return false
}

func (s *spool) lose(records int64) {
	if records > 0 {
		s.dropped += records
		partial := filepath.Join(s.folder, counted+".partial")
		if os.WriteFile(partial, []byte(strconv.FormatInt(s.dropped, 10)+"\n"), 0o600) == nil {
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
