package file_test

import (
	"context"
	"os"
	"testing"

	"github.com/handover-agent/handover/backends"
)

// nobody is a user that owns nothing here.
const nobody = 65534

// asNobody makes every call of b unprivileged.
func asNobody(b backends.Backend) backends.Backend { return bound{b} }

type bound struct{ backends.Backend }

func (b bound) Put(ctx context.Context, ref backends.Ref, item backends.Item, prev backends.Version) (v backends.Version, err error) {
	unprivileged(func() { v, err = b.Backend.Put(ctx, ref, item, prev) })
	return v, err
}

func (b bound) Get(ctx context.Context, ref backends.Ref, at backends.Stage) (item backends.Item, v backends.Version, err error) {
	unprivileged(func() { item, v, err = b.Backend.Get(ctx, ref, at) })
	return item, v, err
}

func (b bound) Check(ctx context.Context, ref backends.Ref) (err error) {
	unprivileged(func() {
		if c, ok := backends.As[backends.Checker](b.Backend); ok {
			err = c.Check(ctx, ref)
		}
	})
	return err
}

// publicDir is a folder that nobody can walk into.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "handover-test-") //nolint:usetesting // nobody can enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestNobodyIsBound: the tests of permissions would show nothing as root.
func TestNobodyIsBound(t *testing.T) {
	closed := publicDir(t) + "/closed"
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		if err := os.Chmod(closed, 0); err != nil {
			t.Fatal(err)
		}
	}
	unprivileged(func() {
		if _, err := os.ReadDir(closed); !os.IsPermission(err) {
			t.Errorf("a folder of root's was read: %v", err)
		}
	})
	if os.Geteuid() == 0 {
		if _, err := os.ReadDir(closed); err != nil {
			t.Errorf("root did not come back: %v", err)
		}
	}
}
