package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// diskSize is the size of the journal's own disk, in bytes: a write-ahead log
// of 4 MiB, the file, and room.
const diskSize = 16 << 20

// mountFailed is how the error of a disk begins that can't be mounted.
const mountFailed = "mount a small disk"

// disk is a small file system that can be filled up.
type disk struct {
	dir string

	mu    sync.Mutex
	full  bool
	freed time.Time
}

// ballast is the file that takes all the space.
func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// fill leaves no byte free.
func (d *disk) fill() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full = true
	file, err := os.OpenFile(d.ballast(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("fill the disk: %w", err)
	}
	defer func() { _ = file.Close() }() // what counts is that no more fits
	block := make([]byte, 64<<10)
	for written := 0; written <= diskSize; {
		n, err := file.Write(block)
		written += n
		if errors.Is(err, syscall.ENOSPC) {
			if len(block) == 1 {
				return nil
			}
			block = block[:len(block)/2]
			continue
		}
		if err != nil {
			return fmt.Errorf("fill the disk: %w", err)
		}
	}
	return fmt.Errorf("fill the disk: %s takes more than %d bytes: it is no small disk", d.dir, diskSize)
}

// free gives the space back.
func (d *disk) free() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.full, d.freed = false, time.Now()
	return os.Remove(d.ballast())
}

// aftermath is how long an agent that met a full disk may take to end.
const aftermath = 3 * time.Second

// excuses reports whether the disk is full, or was a moment ago.
func (d *disk) excuses() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.full || time.Since(d.freed) < aftermath
}
