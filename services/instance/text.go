package instance

import (
	"embed"
	"encoding/json"
	"strings"
	"sync"
)

//go:embed texts.*.json
var catalogueFiles embed.FS

// catalogues reads the texts of mails once. They are part of the program: one that cannot be read is a mistake that a test
// finds.
var catalogues = sync.OnceValue(func() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, language := range []string{"fr", "en"} {
		raw, err := catalogueFiles.ReadFile("texts." + language + ".json")
		if err != nil {
			panic(err)
		}
		texts := map[string]string{}
		if err := json.Unmarshal(raw, &texts); err != nil {
			panic("instance: texts." + language + ".json: " + err.Error())
		}
		all[language] = texts
	}
	return all
})

// testMail is the test mail in a language, in French for one that is not known.
func testMail(language, address string) (subject, text string) {
	texts, ok := catalogues()[language]
	if !ok {
		texts = catalogues()["fr"]
	}
	return texts["testMail.subject"], strings.ReplaceAll(texts["testMail.text"], "{address}", address)
}
