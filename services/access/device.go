package access

import "strings"

// browsers and systems are what device looks for, in this order: some name others that they are like.
var browsers = [][2]string{
	{"Edg/", "Edge"},
	{"EdgA/", "Edge"},
	{"OPR/", "Opera"},
	{"SamsungBrowser/", "Samsung Internet"},
	{"Firefox/", "Firefox"},
	{"FxiOS/", "Firefox"},
	{"CriOS/", "Chrome"},
	{"Chrome/", "Chrome"},
	{"Safari/", "Safari"},
}

var systems = [][2]string{
	{"iPhone", "iPhone"},
	{"iPad", "iPad"},
	{"Android", "Android"},
	{"Windows", "Windows"},
	{"Macintosh", "Mac"},
	{"CrOS", "ChromeOS"},
	{"Linux", "Linux"},
}

// device returns the browser and system of a User-Agent in words, such as "Firefox, Android"; empty when it names neither.
// No version and no model is kept: a member only has to recognise it.
func device(userAgent string) string {
	var words []string
	for _, known := range [][][2]string{browsers, systems} {
		for _, each := range known {
			if strings.Contains(userAgent, each[0]) {
				words = append(words, each[1])
				break
			}
		}
	}
	return strings.Join(words, ", ")
}
