package world

import (
	"github.com/handover-agent/handover/rotation"
	"github.com/handover-agent/handover/rotation/rotationtest"
)

// Disk is where one agent's journal lies. It outlives the agent's processes.
type Disk interface {
	// Open is a new process's hold on what is stored. Commits by the hold
	// before it fail from now on.
	Open() (rotation.Journal, error)
	// Copy is another disk with the content of now, as a backup is.
	Copy() (Disk, error)
	// Empty is another disk without content.
	Empty() (Disk, error)
	// Dump is all that is stored, to be searched for what must not be there.
	Dump() ([]byte, error)
}

// memory is a Disk that is no disk.
type memory struct{ journal *rotationtest.Memory }

// Memory returns an empty disk in memory.
func Memory() Disk { return memory{rotationtest.NewMemory()} }

// Open takes the content over.
func (m memory) Open() (rotation.Journal, error) { return m.journal.Takeover(), nil }

// Copy copies it.
func (m memory) Copy() (Disk, error) { return memory{m.journal.Copy()}, nil }

// Empty is a new one.
func (m memory) Empty() (Disk, error) { return Memory(), nil }

// Dump prints it.
func (m memory) Dump() ([]byte, error) { return m.journal.Dump(), nil }
