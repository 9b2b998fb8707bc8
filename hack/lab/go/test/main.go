// Test is test(1) for expressions of the form -s FILE [-a -s FILE]...: every file is there and not empty.
package main

import "os"

func main() {
	arguments := append([]string{"-a"}, os.Args[1:]...)
	if len(arguments)%3 != 0 {
		os.Exit(2)
	}
	for ; len(arguments) > 0; arguments = arguments[3:] {
		if arguments[0] != "-a" || arguments[1] != "-s" {
			os.Exit(2)
		}
		if info, err := os.Stat(arguments[2]); err != nil || info.Size() == 0 {
			os.Exit(1)
		}
	}
}
