package typeface

import (
	"strings"

	"golang.org/x/image/font"
)

// Wrap breaks a text at its spaces into so many lines at most, and inside a word where a word is longer than a line. It reports
// whether all of it is there; else the last line ends with an ellipsis.
func Wrap(text string, f font.Face, room, maxLines int) (lines []string, all bool) {
	words := strings.Split(text, " ")
	for len(words) > 0 {
		n := 1
		for n < len(words) && font.MeasureString(f, strings.Join(words[:n+1], " ")).Ceil() <= room {
			n++
		}
		line := strings.Join(words[:n], " ")
		if len(lines) == maxLines-1 && n < len(words) {
			return append(lines, Shorten(line+" "+strings.Join(words[n:], " "), f, room)), false
		}
		if n == 1 && font.MeasureString(f, line).Ceil() > room {
			// What of the word does not fit goes to the next line.
			head := fitting(line, f, room)
			if len(lines) == maxLines-1 {
				return append(lines, Shorten(line, f, room)), false
			}
			lines, words[0] = append(lines, head), line[len(head):]
			continue
		}
		lines, words = append(lines, line), words[n:]
	}
	return lines, true
}

// Balance makes the lines about as long as each other: as many as there are, in the narrowest room.
func Balance(text string, f font.Face, room int, lines []string) []string {
	const near = 16
	for narrow, wide := 0, room; wide-narrow > near; {
		middle := (narrow + wide) / 2
		if tried, all := Wrap(text, f, middle, len(lines)); all && len(tried) == len(lines) {
			lines, wide = tried, middle
		} else {
			narrow = middle
		}
	}
	return lines
}

// fitting is the longest beginning of a text that fits; one letter at least.
func fitting(text string, f font.Face, room int) string {
	end := 0
	for at, r := range text {
		next := at + len(string(r))
		if end > 0 && font.MeasureString(f, text[:next]).Ceil() > room {
			break
		}
		end = next
	}
	return text[:end]
}

// Shorten cuts a text to so many pixels, with an ellipsis where something is cut.
func Shorten(text string, f font.Face, room int) string {
	const ellipsis = "…"
	if font.MeasureString(f, text).Ceil() <= room {
		return text
	}
	return strings.TrimRight(fitting(text, f, room-font.MeasureString(f, ellipsis).Ceil()), " ,;:.\u00a0") + ellipsis
}
