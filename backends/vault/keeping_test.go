package vault

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/handover-agent/handover/backends"
)

func TestDoubt(t *testing.T) {
	for _, c := range []struct {
		name         string
		entry, mount keeping
		says         string
	}{
		{"nothing is set", keeping{}, keeping{}, ""},
		{"the entry keeps enough", keeping{MaxVersions: 3, DeleteAfter: "0s"}, keeping{DeleteAfter: "0s"}, ""},
		{"the mount keeps more", keeping{MaxVersions: 1}, keeping{MaxVersions: 5}, ""},
		{"the entry keeps more", keeping{MaxVersions: 5}, keeping{MaxVersions: 1}, ""},
		{"one", keeping{MaxVersions: 1}, keeping{}, "max_versions is 1"},
		{"two of the mount", keeping{}, keeping{MaxVersions: 2}, "max_versions is 2"},
		{"the entry is deleted", keeping{DeleteAfter: "720h0m0s"}, keeping{DeleteAfter: "0s"}, "delete_version_after is 720h0m0s"},
		{"the mount deletes", keeping{}, keeping{DeleteAfter: "1h0m0s"}, "delete_version_after is 1h0m0s"},
	} {
		if got := c.entry.doubt(c.mount); (got == "") != (c.says == "") || !strings.Contains(got, c.says) {
			t.Errorf("%s: %q, want %q", c.name, got, c.says)
		}
	}
}

// TestWarningOfKeeping: on a real mount, once a day for each entry; where the
// policy hides the mount's settings, the entry's alone count.
func TestWarningOfKeeping(t *testing.T) {
	v, _, mount := onReal(t, "2")
	v.Do(t, http.MethodPost, mount+"/config", map[string]any{"max_versions": 1})
	v.Do(t, http.MethodPost, mount+"/metadata/doomed", map[string]any{"delete_version_after": "720h"})
	v.Do(t, http.MethodPost, mount+"/metadata/kept", map[string]any{"max_versions": 9})
	log := newPhrases()
	b := openLogging(t, withToken(t, v.Addr, mount, v.Token), log)
	for range 2 {
		for _, path := range []string{"new", "doomed", "kept"} {
			if err := b.Check(t.Context(), refOf(path)); err != nil {
				t.Errorf("check: %v", err)
			}
		}
	}
	if few, doomed := log.count("max_versions is 1"), log.count("delete_version_after is 720h0m0s"); few != 1 || doomed != 1 {
		t.Errorf("the log warns %d times of few versions and %d times of a deletion, want once each", few, doomed)
	}
	hidden := newPhrases()
	token := v.NewToken(t, "1h", v.Policy(t, agentPolicy(t, mount)))
	narrow := openLogging(t, withToken(t, v.Addr, mount, token), hidden)
	for _, path := range []string{"new", "doomed"} {
		if err := narrow.Check(t.Context(), refOf(path)); err != nil {
			t.Errorf("check: %v", err)
		}
	}
	if n := hidden.count("vault keeps too little"); n != 1 {
		t.Errorf("without the mount's settings the log warns %d times, want once", n)
	}
	for _, one := range []*backend{b, narrow} {
		if err := one.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func TestWarningsAreDaily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w warnings
		due := func() bool { return w.due("x", time.Now()) }
		if !due() || due() || !w.due("y", time.Now()) {
			t.Error("an entry is looked at once")
		}
		time.Sleep(warnEvery)
		if !due() || due() {
			t.Error("the next day it is looked at once more")
		}
	})
}

// TestVersionWithAnEnd: a version that Vault will delete later is there until
// then, without reading it too.
func TestVersionWithAnEnd(t *testing.T) {
	v, b, mount := onReal(t, "2")
	v.Do(t, http.MethodPost, mount+"/metadata/x", map[string]any{"delete_version_after": "720h"})
	ref := refOf("x")
	item := itemOf("eyJ.a.1", 1)
	v1 := mustPut(t, b, ref, item, backends.Absent)
	meta, version, err := b.Describe(t.Context(), ref)
	if err != nil || version != v1 || meta != item.Meta {
		t.Errorf("describe: version %s, %+v, %v", version, meta, err)
	}
	mustPut(t, b, ref, itemOf("eyJ.a.2", 2), v1)
	if old, _, err := b.Get(t.Context(), ref, backends.Previous); err != nil || !old.Payload.Equal(item.Payload) {
		t.Errorf("the version before is not found: %v", err)
	}
}

// TestMetadataThatMustBeCompared is OpenBao's metadata_cas_required.
func TestMetadataThatMustBeCompared(t *testing.T) {
	v, _, mount := onReal(t, "2")
	b := opened(t, withToken(t, v.Addr, mount, v.NewToken(t, "1h", v.Policy(t, agentPolicy(t, mount)))))
	if status, _ := v.Try(t, http.MethodPost, mount+"/config", map[string]any{"metadata_cas_required": true, "cas_required": true}); status >= 300 {
		t.Fatalf("configure: %d", status)
	}
	ref, version := refOf("x"), backends.Absent
	for generation := range uint64(3) {
		item := itemOf("eyJ.a."+string(rune('a'+generation)), generation+1)
		version = mustPut(t, b, ref, item, version)
		if got, _ := mustGet(t, b, ref); got.Meta != item.Meta {
			t.Errorf("metadata %+v, want %+v", got.Meta, item.Meta)
		}
	}
}
