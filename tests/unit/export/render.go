// What Go's own text/template makes of templates: JSON jobs on stdin, the texts as JSON on stdout.
// The data has the types that Ollama hands to a template: .System, and .Messages with .Role and .Content.
package main

import (
	"encoding/json"
	"log"
	"os"
	"strings"
	"text/template"
)

type message struct {
	Role    string
	Content string
}

type job struct {
	Template string
	System   string
	Messages []*message
}

func main() {
	var jobs []job
	if err := json.NewDecoder(os.Stdin).Decode(&jobs); err != nil {
		log.Fatal(err)
	}
	texts := []string{}
	for _, one := range jobs {
		parsed, err := template.New("").Option("missingkey=zero").Parse(one.Template)
		if err != nil {
			log.Fatalf("%q: %v", one.Template, err)
		}
		var text strings.Builder
		data := map[string]any{"System": one.System, "Messages": one.Messages}
		if err := parsed.Execute(&text, data); err != nil {
			log.Fatalf("%q: %v", one.Template, err)
		}
		texts = append(texts, text.String())
	}
	if err := json.NewEncoder(os.Stdout).Encode(texts); err != nil {
		log.Fatal(err)
	}
}
