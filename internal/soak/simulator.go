package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/handover-agent/handover/internal/outside"
)

// startTimeout bounds the start of a process.
const startTimeout = time.Minute

// simulator is `handover sim` with a state file: it may be killed and started
// again.
type simulator struct {
	program, dir, token, address string

	process *outside.Process
}

// start starts it and waits until it serves.
func (s *simulator) start() error {
	var out outside.Text
	p, err := startLogged(filepath.Join(s.dir, "simulator.log"), &out, s.program, "sim", "--listen", s.address,
		"--state", filepath.Join(s.dir, "simulator.json"), "--admin-token-file", s.token)
	if err != nil {
		return fmt.Errorf("start the simulator: %w", err)
	}
	s.process = p
	var ended error
	err = outside.Await(context.Background(), startTimeout, "the simulator", func() (bool, string) {
		if !p.Running() {
			ended = fmt.Errorf("the simulator ended with status %d", p.ExitCode())
		}
		return ended != nil || strings.HasSuffix(out.String(), "\n"), "it doesn't serve yet"
	})
	if err == nil {
		err = ended
	}
	return err
}

// kill ends it as the machine's end would.
func (s *simulator) kill() {
	if s.process != nil {
		s.process.Kill()
	}
}

// startLogged starts a program whose errors go to the end of a file.
func startLogged(file string, out io.Writer, program string, args ...string) (*outside.Process, error) {
	log, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the process has its own
	return outside.Start(out, log, program, args...)
}
