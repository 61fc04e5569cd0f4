package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// terminal is the stream as a terminal, if a person sits there.
func terminal(stream any) (*os.File, bool) {
	file, ok := stream.(*os.File)
	return file, ok && term.IsTerminal(int(file.Fd()))
}

// bar tells a person at a terminal how far it is, in one line that is written
// again and again. A nil bar tells nothing.
type bar struct {
	to    io.Writer
	total int64
	// what is counted: "old acts".
	what string
	// next is when it is written again.
	next time.Time
}

// newBar is nil where nobody looks on.
func newBar(to io.Writer, total int64, what string) *bar {
	if _, ok := terminal(to); !ok {
		return nil
	}
	return &bar{to: to, total: total, what: what}
}

const (
	// blink is how often the line is written, at most.
	blink = 100 * time.Millisecond
	// width is how long the bar is when it is full, in characters.
	width = 30
)

func (b *bar) show(done int64) {
	if b == nil || time.Now().Before(b.next) {
		return
	}
	b.next = time.Now().Add(blink)
	total := max(b.total, done, 1) // more may come while it runs
	full := strings.Repeat("#", int(done*width/total))
	fmt.Fprintf(b.to, "\r[%-*s] %3d%% of %d %s", width, full, done*100/total, total, b.what)
}

// clear takes the line away.
func (b *bar) clear() {
	if b != nil && !b.next.IsZero() {
		fmt.Fprint(b.to, "\r\033[K")
	}
}

// screen draws one text over the one before.
type screen struct {
	to io.Writer
	// size is the room there is, in characters.
	size func() (columns, lines int)
}

// newScreen is nil where nobody looks on.
func newScreen(to io.Writer) *screen {
	file, ok := terminal(to)
	if !ok {
		return nil
	}
	return &screen{to: to, size: func() (columns, lines int) {
		columns, lines, err := term.GetSize(int(file.Fd()))
		if err != nil || columns < 1 || lines < 1 { // a terminal that doesn't say
			return 80, 24
		}
		return columns, lines
	}}
}

// draw writes as much of the text as there is room for; the last line says how
// much there isn't.
func (s *screen) draw(text []byte) error {
	columns, room := s.size()
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	if room = max(room-1, 2); len(lines) > room {
		more := len(lines) - room + 1
		lines = append(lines[:room-1:room-1], fmt.Sprintf("and %d more lines", more))
	}
	var out bytes.Buffer
	out.WriteString("\033[H")
	for _, line := range lines {
		if cut := []rune(line); len(cut) > columns {
			line = string(cut[:columns])
		}
		out.WriteString(line + "\033[K\n")
	}
	out.WriteString("\033[J")
	_, err := s.to.Write(out.Bytes())
	return err
}
