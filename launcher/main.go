// Launcher sets environment variables from files and becomes the app.
//
//	launcher install PATH                       copies itself to PATH
//	launcher run [--env NAME=FILE]... -- COMMAND [ARGUMENT]...
//
// It says which file or command is at fault, never what a file holds. Exit status 126 or 127 as a shell's.
package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
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
	return 2, errors.New("use: launcher install PATH | launcher run [--env NAME=FILE]... -- COMMAND [ARGUMENT]...")
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

func run(arguments []string) (int, error) {
	environment := os.Environ()
	for len(arguments) >= 2 && arguments[0] == "--env" {
		name, file, found := strings.Cut(arguments[1], "=")
		if !found || name == "" || file == "" {
			return 2, errors.New("--env takes NAME=FILE")
		}
		value, err := read(file)
		if err != nil {
			return 126, fmt.Errorf("variable %s: %w", name, err)
		}
		environment = append(without(environment, name), name+"="+value)
		arguments = arguments[2:]
	}
	if len(arguments) < 2 || arguments[0] != "--" {
		return 2, errors.New("the command to run comes after --")
	}
	command := arguments[1:]
	program, err := exec.LookPath(command[0])
	if err != nil {
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
			return 127, err
		}
		return 126, err
	}
	return 126, fmt.Errorf("%s can't be run: %w", program, syscall.Exec(program, command, environment))
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
