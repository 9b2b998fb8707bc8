package main

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

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
	notes, err := s.read(oldest, limit)
	if err != nil {
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
			s.settle(oldest, int64(len(notes)), records, rejected)
		}
	}}, nil
}

// read returns what waits in a file, at most limit bytes of it.
func (s *spool) read(each *segment, limit int64) ([]byte, error) {
	file, err := os.Open(s.path(each))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	notes := make([]byte, min(limit, each.size-each.taken))
	_, err = file.ReadAt(notes, each.taken)
	return notes, err
}

// settle is told of records of the oldest file that are delivered, but for those that were rejected.
func (s *spool) settle(oldest *segment, size, records, rejected int64) {
	rejected = max(0, min(rejected, records))
	s.lose(rejected)
	oldest.taken += size
	oldest.delivered += records
	_, _ = s.mark.WriteAt(fmt.Appendf(nil, mark, oldest.number, oldest.run, oldest.taken, oldest.delivered), 0)
	s.stuck = 0
	if records > rejected {
		s.told.delivered += records - rejected
		s.told.last = time.Now()
	}
}
