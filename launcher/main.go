// Launcher sets environment variables from files, and becomes the app or forwards what it writes.
//
//	launcher install PATH                       copies itself to PATH
//	launcher run [--env NAME=FILE]... [FORWARDING] -- COMMAND [ARGUMENT]...
//
//	FORWARDING: --forward URL --spool FOLDER [--follow FILE] [--room BYTES] [--drain SECONDS]
//
// Without --forward it becomes the app. With it the app is its child: what the app writes to standard output and error
// goes where it went before, and as records to the OTLP receiver at URL, which ends in /v1/logs; until that has them they
// wait in FOLDER. How they fare is told to the receiver's /v1/metrics. With --follow it is what the app appends to FILE.
//
// It says which file or command is at fault, never what a file holds. Exit status 126 or 127 as a shell's.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	status, err := launch(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "launcher:", err)
	}
	os.Exit(status)
}

func launch(arguments []string) (int, error) {
	if len(arguments) == 2 && arguments[0] == "install" {
		return 1, install(arguments[1])
	}
	if len(arguments) > 0 && arguments[0] == "run" {
		return run(arguments[1:])
	}
	return 2, errors.New("use: launcher install PATH | launcher run [--env NAME=FILE]... [--forward URL --spool FOLDER] -- COMMAND [ARGUMENT]...")
}

// install returns nil only by way of os.Exit(0): the copy is in place.
func install(path string) error {
	source, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(target, source); err != nil {
		return err
	}
	if err := target.Close(); err != nil {
		return err
	}
	if err := os.Chmod(path, 0o555); err != nil {
		return err
	}
	os.Exit(0)
	return nil
}

// order is what the command line asks for.
type order struct {
	environment []string
	command     []string
	forward     string
	spool       string
	follow      string
	room        int64
	drain       time.Duration
}

func run(arguments []string) (int, error) {
	asked, status, err := parse(arguments)
	if err != nil {
		return status, err
	}
	program, err := exec.LookPath(asked.command[0])
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return 127, err
		}
		return 126, err
	}
	if asked.forward != "" {
		return tee(program, asked)
	}
	return 126, fmt.Errorf("%s can't be run: %w", program, syscall.Exec(program, asked.command, asked.environment))
}

func parse(arguments []string) (order, int, error) {
	asked := order{environment: os.Environ(), room: 32 << 20, drain: 5 * time.Second}
	for len(arguments) >= 2 && arguments[0] != "--" {
		flag, value := arguments[0], arguments[1]
		arguments = arguments[2:]
		var err error
		switch flag {
		case "--env":
			name, file, found := strings.Cut(value, "=")
			if !found || name == "" || file == "" {
				return asked, 2, errors.New("--env takes NAME=FILE")
			}
			content, err := read(file)
			if err != nil {
				return asked, 126, fmt.Errorf("variable %s: %w", name, err)
			}
			asked.environment = append(without(asked.environment, name), name+"="+content)
		case "--forward":
			asked.forward = value
			if err := checkURL(value); err != nil {
				return asked, 2, err
			}
		case "--spool":
			asked.spool = value
		case "--follow":
			asked.follow = value
		case "--room":
			asked.room, err = strconv.ParseInt(value, 10, 64)
			if err != nil || asked.room < leastRoom {
				return asked, 2, fmt.Errorf("--room takes a number of bytes, at least %d", leastRoom)
			}
		case "--drain":
			var seconds uint64
			seconds, err = strconv.ParseUint(value, 10, 16)
			if err != nil {
				return asked, 2, errors.New("--drain takes a number of seconds")
			}
			asked.drain = time.Duration(seconds) * time.Second
		default:
			return asked, 2, fmt.Errorf("there is no %s; the command to run comes after --", flag)
		}
	}
	if len(arguments) < 2 || arguments[0] != "--" {
		return asked, 2, errors.New("the command to run comes after --")
	}
	if (asked.forward == "") != (asked.spool == "") {
		return asked, 2, errors.New("--forward and --spool belong together")
	}
	if asked.follow != "" && asked.forward == "" {
		return asked, 2, errors.New("--follow needs --forward")
	}
	asked.command = arguments[1:]
	return asked, 0, nil
}

// logs is where a receiver takes records (opentelemetry-proto, "OTLP/HTTP Request"); metrics has the same parent.
const logs = "/v1/logs"

func checkURL(forward string) error {
	found, err := url.Parse(forward)
	if err != nil || found.Scheme != "http" && found.Scheme != "https" || found.Host == "" ||
		!strings.HasSuffix(forward, logs) {
		return errors.New("--forward takes a URL of http or https that ends in " + logs)
	}
	return nil
}

// read returns what file holds, which must fit a variable: it has no NUL (execve(2)).
func read(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if bytes.IndexByte(content, 0) >= 0 {
		return "", fmt.Errorf("%s holds a NUL byte, which no variable can", file)
	}
	return string(content), nil
}

func without(environment []string, name string) []string {
	kept := environment[:0:0]
	for _, entry := range environment {
		if !strings.HasPrefix(entry, name+"=") {
			kept = append(kept, entry)
		}
	}
	return kept
}
