package main

import (
	"os"
	"os/signal"
	"syscall"
)

const lastSignal = 64 // SIGRTMAX; images name real-time ones as what stops them (signal(7))

// catch has every signal for the app come to us: all that can be caught, but those the runtime lives by, and but those
// that were ignored when we started, which the app ignores as well (execve(2)).
func catch() <-chan os.Signal {
	signals := make(chan os.Signal, 64)
	for number := syscall.Signal(1); number <= lastSignal; number++ {
		switch number {
		case syscall.SIGKILL, syscall.SIGSTOP, syscall.SIGCHLD, syscall.SIGURG, syscall.SIGPIPE,
			syscall.SIGILL, syscall.SIGTRAP, syscall.SIGBUS, syscall.SIGFPE, syscall.SIGSEGV,
			syscall.SIGTTIN, syscall.SIGTTOU, 32, 33, 34: // the last are the C library's own (nptl(7))
		default:
			if !signal.Ignored(number) {
				signal.Notify(signals, number)
			}
		}
	}
	signal.Notify(make(chan os.Signal), syscall.SIGPIPE) // else a standard output nobody reads would end us (os/signal)
	return signals
}

// handOn gives the signals to process for as long as we run.
func handOn(signals <-chan os.Signal, process *os.Process) {
	for number := range signals {
		_ = process.Signal(number) // it may have ended just now
	}
}

// wait returns the exit status of the child pid as a shell tells it. As the first process of a container we are also
// the parent of every orphan in it, and collect those (wait(2)).
func wait(pid int) int {
	for {
		var status syscall.WaitStatus
		ended, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case err == syscall.ECHILD:
			return 126
		case err != nil || ended != pid:
		case status.Signaled():
			return 128 + int(status.Signal())
		default:
			return status.ExitStatus()
		}
	}
}
