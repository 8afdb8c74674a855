package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

const (
	barWidth = 30
	// barPause is the time between two drawings.
	barPause = 100 * time.Millisecond
	// eraseLine moves to the beginning of the line and erases it (EL of ECMA-48).
	eraseLine = "\r\x1b[K"
)

// bar shows the progress of an export on a terminal.
type bar struct {
	out   io.Writer
	now   func() time.Time
	begun time.Time
	shown time.Time
}

// show draws the bar, unless the last drawing was less than barPause ago.
func (b *bar) show(done, total int64) {
	now := b.now()
	if b.begun.IsZero() {
		b.begun = now
	}
	if done < total && now.Sub(b.shown) < barPause {
		return
	}
	b.shown = now
	fraction := 1.0
	if total > 0 {
		fraction = float64(done) / float64(total)
	}
	filled := int(fraction * barWidth)
	line := fmt.Sprintf("[%s%s] %3.0f %%  %d of %d entries",
		strings.Repeat("=", filled), strings.Repeat(" ", barWidth-filled), 100*fraction, done, total)
	if elapsed := now.Sub(b.begun); done > 0 && done < total && elapsed > time.Second {
		left := time.Duration(float64(elapsed) * (1 - fraction) / fraction)
		line += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	fmt.Fprint(b.out, eraseLine, line)
}

// end ends the line, so that the last drawing stays.
func (b *bar) end() {
	if !b.shown.IsZero() {
		fmt.Fprintln(b.out)
	}
}

// isTerminal reports whether w is a terminal. Files and pipes get no progress bar.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
