package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// names knows what files that bore a name are called now, from what the kernel says of their folder (inotify(7)): an
// app may rename a file and the next one before anybody looks.
type names struct {
	folder     string
	base       string
	descriptor int
	happened   chan struct{} // holds one when something has
	unopened   []name        // oldest first
	events     []byte
}

// name is empty between the two events of a rename, which have the same cookie.
type name struct {
	is     string
	cookie uint32
}

const noInotify = -1

// newNames watches for files that come to path. Without the kernel's help it knows of the one that is there.
func newNames(path string) *names {
	n := &names{folder: filepath.Dir(path), base: filepath.Base(path), happened: make(chan struct{}, 1)}
	n.unopened, n.events = []name{{is: n.base}}, make([]byte, 64<<10)
	var err error
	if n.descriptor, err = syscall.InotifyInit1(syscall.IN_CLOEXEC | syscall.IN_NONBLOCK); err == nil {
		_, err = syscall.InotifyAddWatch(n.descriptor, n.folder, syscall.IN_CREATE|syscall.IN_MOVE|syscall.IN_DELETE)
	}
	if err != nil {
		complain(fmt.Errorf("%s is not watched, so a file that is renamed at once may be missed: %w", n.folder, err))
		n.descriptor = noInotify
		return n
	}
	if connection, err := os.NewFile(uintptr(n.descriptor), "inotify").SyscallConn(); err == nil {
		go n.notice(connection)
	}
	return n
}

// notice tells of happened at once: what a file was renamed for may be that it is deleted soon.
func (n *names) notice(connection syscall.RawConn) {
	for asked := false; ; asked = false {
		err := connection.Read(func(uintptr) bool {
			defer func() { asked = true }()
			return asked // by the poller
		})
		if err != nil {
			return
		}
		select {
		case n.happened <- struct{}{}:
		default:
		}
	}
}

// fresh opens the files that have come since it was last asked, oldest first.
func (n *names) fresh() []*os.File {
	if n.descriptor == noInotify {
		n.unopened = []name{{is: n.base}}
	}
	lost := len(n.unopened) > 0 && n.unopened[0].is == "" // at the last time already
	n.update()
	if lost && n.unopened[0].is == "" {
		n.miss(0)
	}
	var files []*os.File
	for len(n.unopened) > 0 && n.unopened[0].is != "" {
		file, err := os.Open(filepath.Join(n.folder, n.unopened[0].is))
		if n.update() { // it may be another file that had this name
			if err == nil {
				file.Close()
			}
			continue
		}
		n.unopened = n.unopened[1:]
		if err == nil {
			files = append(files, file)
		} else if !errors.Is(err, os.ErrNotExist) {
			complain(err)
		}
	}
	return files
}

// update takes note of what has happened in the folder; false when nothing has.
func (n *names) update() bool {
	if n.descriptor == noInotify {
		return false
	}
	happened := false
	for {
		read, err := syscall.Read(n.descriptor, n.events)
		if read <= 0 || err != nil {
			return happened
		}
		happened = true
		for events := n.events[:read]; len(events) >= syscall.SizeofInotifyEvent; {
			mask, cookie := binary.NativeEndian.Uint32(events[4:]), binary.NativeEndian.Uint32(events[8:])
			size := syscall.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
			n.heard(mask, cookie, string(bytes.TrimRight(events[syscall.SizeofInotifyEvent:size], "\x00")))
			events = events[size:]
		}
	}
}

// heard is told of one event.
func (n *names) heard(mask, cookie uint32, of string) {
	known := slices.IndexFunc(n.unopened, func(each name) bool { return each.is == of })
	if known >= 0 && mask&(syscall.IN_DELETE|syscall.IN_MOVED_TO) != 0 {
		n.miss(known)
	}
	moved := slices.IndexFunc(n.unopened, func(each name) bool { return each.is == "" && each.cookie == cookie })
	switch {
	case mask&syscall.IN_MOVED_FROM != 0:
		if known >= 0 {
			n.unopened[known] = name{cookie: cookie}
		}
	case mask&syscall.IN_MOVED_TO != 0 && moved >= 0:
		n.unopened[moved].is = of
	case mask&(syscall.IN_MOVED_TO|syscall.IN_CREATE) != 0 && of == n.base:
		n.unopened = append(n.unopened, name{is: of})
	case mask&syscall.IN_Q_OVERFLOW != 0:
		n.unopened = append(n.unopened, name{is: n.base})
	}
}

// miss gives up a file that is gone.
func (n *names) miss(index int) {
	complain(fmt.Errorf("a file that was %s is gone before it was read", filepath.Join(n.folder, n.base)))
	n.unopened = slices.Delete(n.unopened, index, index+1)
}
