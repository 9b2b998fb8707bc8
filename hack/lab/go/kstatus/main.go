// Command kstatus reads YAML documents on stdin and prints "<name> <Status> <message>" for each,
// judged by the kstatus library that Flux uses.
package main

import (
	"bufio"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("kstatus: ")
	documents := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	for {
		document, err := documents.Read()
		if err == io.EOF {
			return
		}
		check(err)
		// Through JSON, so that numbers are int64 as they are when they come from the API server.
		asJSON, err := yaml.ToJSON(document)
		check(err)
		object := &unstructured.Unstructured{}
		check(object.UnmarshalJSON(asJSON))
		result, err := status.Compute(object)
		check(err)
		fmt.Println(object.GetName(), result.Status, strings.Join(strings.Fields(result.Message), " "))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
