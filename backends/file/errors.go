package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"github.com/handover-agent/handover/backends"
)

// verdicts maps what the system says to a kind and to what a person can do. A
// number that isn't listed is Unavailable: waiting does no harm.
var verdicts = []struct {
	errnos []syscall.Errno
	kind   error
	remedy string
}{
	{
		[]syscall.Errno{syscall.EACCES, syscall.EPERM}, backends.ErrDenied,
		"the agent's user must be able to write to the folder, and be a member of the group",
	},
	{
		[]syscall.Errno{syscall.EROFS}, backends.ErrDenied,
		"mount it for writing (with systemd: ReadWritePaths=)",
	},
	{
		[]syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}, backends.ErrUnavailable,
		"make room on the disk",
	},
	{
		[]syscall.Errno{syscall.EISDIR, syscall.ENOTDIR, syscall.ENAMETOOLONG, syscall.ELOOP, syscall.EINVAL, syscall.ENXIO},
		backends.ErrInvalid, "something else than a file stands in the way: correct the path, or move it",
	},
}

// problem is an error whose kind is known where it arises.
type problem struct {
	kind error
	err  error
}

func (p problem) Error() string { return p.err.Error() }
func (p problem) Unwrap() error { return p.err }

func invalid(err error) error { return problem{backends.ErrInvalid, err} }

// afterwards marks an error that came when the new value was in place already:
// whether it would survive a loss of power isn't known.
func afterwards(err error) error {
	if err == nil {
		return nil
	}
	return problem{backends.ErrUnknownOutcome, err}
}

// before takes that mark off: the value itself wasn't touched yet.
func before(err error) error {
	var p problem
	if errors.As(err, &p) && errors.Is(p.kind, backends.ErrUnknownOutcome) {
		return p.err
	}
	return err
}

// rootError marks that dir itself is no folder: then nothing is known of what
// stands in it. A dir that doesn't exist holds nothing.
func rootError(err error) error {
	var errno syscall.Errno
	numbered := errors.As(err, &errno)
	if err == nil || numbered && errno != syscall.ENOTDIR && errno != syscall.ELOOP {
		return err
	}
	return problem{backends.ErrUnavailable, fmt.Errorf("%w: dir has to be a folder", err)}
}

// fail makes err an error of the driver.
func (b *backend) fail(op string, ref backends.Ref, err error) error {
	remedy, kind := classify(err)
	cause := fmt.Errorf("in %s: %w", b.options.Dir, err)
	if remedy != "" {
		cause = fmt.Errorf("in %s: %w: %s", b.options.Dir, err, remedy)
	}
	return &backends.Error{Op: op, Ref: ref, Kind: kind, Err: cause}
}

// classify is the one place where the system's errors become kinds.
func classify(err error) (remedy string, kind error) {
	var p problem
	if errors.As(err, &p) {
		return "", p.kind
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "", backends.ErrUnavailable
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return classifyOther(err)
	}
	for _, v := range verdicts {
		if slices.Contains(v.errnos, errno) {
			return v.remedy, v.kind
		}
	}
	return "", backends.ErrUnavailable
}

// classifyOther knows the errors that os.Root makes itself by this: they name a
// path and have no number. One is for a link that leads out of the folder, one
// for a folder that isn't one.
func classifyOther(err error) (remedy string, kind error) {
	var onPath *fs.PathError
	var onLink *os.LinkError
	if errors.As(err, &onPath) || errors.As(err, &onLink) {
		return "there has to be a folder, and no link may lead out of dir", backends.ErrInvalid
	}
	return "", backends.ErrUnavailable
}
