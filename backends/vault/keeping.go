package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/handover-agent/handover/backends"
)

const (
	// defaultVersions is what Vault keeps of an entry where nothing is set.
	defaultVersions = 10
	// leastVersions lets another hand write once, and the agent put its value
	// back, before the value that a rotation replaced is forgotten.
	leastVersions = 3
)

// keeping is how long an engine keeps values: what is set on an entry, or on
// the mount.
type keeping struct {
	MaxVersions int    `json:"max_versions"`
	DeleteAfter string `json:"delete_version_after"`
}

// doubt is what is wrong with the settings of an entry and its mount together;
// "" is nothing. Of the two numbers Vault takes the larger.
func (k keeping) doubt(mount keeping) string {
	most := max(k.MaxVersions, mount.MaxVersions)
	if most == 0 {
		most = defaultVersions
	}
	for _, after := range []string{k.DeleteAfter, mount.DeleteAfter} {
		if d, err := time.ParseDuration(after); err == nil && d > 0 {
			return fmt.Sprintf("delete_version_after is %s: Vault deletes the token by itself after that time; set it to 0", after)
		}
	}
	if most < leastVersions {
		return fmt.Sprintf("max_versions is %d: the value that a rotation replaces may be gone before its grace is over; set it to %d at least", most, leastVersions)
	}
	return ""
}

// warnEvery is how often the settings of one entry are looked at.
const warnEvery = 24 * time.Hour

// warnings remembers when each entry was looked at. It is safe for concurrent
// use.
type warnings struct {
	mu     sync.Mutex
	looked map[string]time.Time
}

// due reports whether it is time to look at path.
func (w *warnings) due(path string, now time.Time) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if last, seen := w.looked[path]; seen && now.Sub(last) < warnEvery {
		return false
	}
	if w.looked == nil {
		w.looked = map[string]time.Time{}
	}
	w.looked[path] = now
	return true
}

// warnOfKeeping logs what would lose a value too early. A policy that doesn't
// show the mount's settings leaves it at what the entry says.
func (b *backend) warnOfKeeping(ctx context.Context, ref backends.Ref) error {
	if !b.warned.due(ref.Path, time.Now()) {
		return nil
	}
	entry, err := b.history(ctx, ref)
	if err != nil && !errors.Is(backendKind(err), backends.ErrNotFound) {
		return err
	}
	var mount keeping
	r, err := b.call(ctx, request{method: http.MethodGet, path: b.options.Mount + "/config"})
	switch {
	case err == nil:
		err = r.decode(&mount)
	case errors.Is(backendKind(err), backends.ErrDenied):
		err = nil
	}
	if err != nil {
		return err
	}
	if text := entry.doubt(mount); text != "" {
		b.log.Warn("vault keeps too little: "+text, "path", ref.Path, "mount", b.options.Mount)
	}
	return nil
}
