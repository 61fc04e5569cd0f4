package outside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
)

var (
	// ErrAbsent says that nothing stands at the target.
	ErrAbsent = errors.New("nothing stands there")
	// ErrUnreachable says that the store didn't answer, or refused to.
	ErrUnreachable = errors.New("the store doesn't answer")
)

// Consumer reads a token from one target as the real consumer does (shapes:
// docs/formats.md).
type Consumer struct {
	Name string
	// Slot is whose token it must be: an account, and a token's name behind a /.
	Slot string
	// Read returns the token. It fails with ErrAbsent or ErrUnreachable; any
	// other error says that no token could be found in what stands there.
	Read func(context.Context) (string, error)
}

// Account is whose token it must be.
func (c Consumer) Account() string {
	account, _, _ := strings.Cut(c.Slot, "/")
	return account
}

// FromFile reads a file, through the links of a directory sink if it is one.
// The name is for people.
func FromFile(name, path, slot string, parse func(string) (string, error)) Consumer {
	return Consumer{Name: "file " + name, Slot: slot, Read: func(context.Context) (string, error) {
		text, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return "", ErrAbsent
		case err != nil:
			return "", fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		return parse(string(text))
	}}
}

// Store is a mount of KV version 2 on a server with Vault's API, read with a
// token of its own.
type Store struct {
	Addr, Mount, Token string
	// Client asks it; nil is http.DefaultClient.
	Client *http.Client
}

// Consumer reads an entry.
func (v Store) Consumer(path, slot string, parse func(map[string]string) (string, error)) Consumer {
	return Consumer{Name: "vault " + path, Slot: slot, Read: func(ctx context.Context) (string, error) {
		entry, err := v.entry(ctx, path)
		if err != nil {
			return "", err
		}
		return parse(entry)
	}}
}

func (v Store) entry(ctx context.Context, path string) (map[string]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, v.Addr+"/v1/"+v.Mount+"/data/"+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-Vault-Token", v.Token)
	status, text, err := Fetch(v.Client, req)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	case status == http.StatusNotFound:
		return nil, ErrAbsent
	case status != http.StatusOK:
		return nil, fmt.Errorf("%w: it says %d", ErrUnreachable, status)
	}
	var entry struct {
		Data struct {
			Data map[string]string `json:"data"`
		} `json:"data"`
	}
	if err := json.Unmarshal(text, &entry); err != nil {
		return nil, errors.New("the entry isn't of strings")
	}
	return entry.Data.Data, nil
}

// Whole takes all of it.
func Whole(text string) (string, error) { return text, nil }

// Header takes the value of an Authorization header.
func Header(text string) (string, error) {
	token, ok := strings.CutPrefix(text, "Bearer ")
	if !ok {
		return "", errors.New("it is no Authorization header")
	}
	return token, nil
}

// Line takes what stands behind a key at the start of a line.
func Line(key string) func(string) (string, error) {
	return func(text string) (string, error) {
		for one := range strings.Lines(text) {
			if token, ok := strings.CutPrefix(one, key); ok {
				return strings.TrimSuffix(token, "\n"), nil
			}
		}
		return "", fmt.Errorf("no line begins with %s", key)
	}
}

// Field takes one field of an entry.
func Field(name string) func(map[string]string) (string, error) {
	return func(entry map[string]string) (string, error) {
		if entry[name] == "" {
			return "", fmt.Errorf("there is no field %s", name)
		}
		return entry[name], nil
	}
}

// Connection takes the header that Airflow's HTTP hook sends for an entry
// whose conn_uri wins, and looks that its other fields agree.
func Connection(entry map[string]string) (string, error) {
	uri, err := url.Parse(entry["conn_uri"])
	if err != nil {
		return "", errors.New("its conn_uri can't be parsed")
	}
	token, err := Header(uri.Query().Get("Authorization"))
	if err == nil && (entry["token"] != token || entry["value"] != token) {
		err = errors.New("its fields hold different tokens")
	}
	return token, err
}

// LocalConnection takes the same from Airflow's local secrets file.
func LocalConnection(text string) (string, error) {
	var all map[string]struct {
		Extra struct {
			Authorization string `json:"Authorization"`
		} `json:"extra"`
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return "", errors.New("it isn't JSON")
	}
	return Header(all["qualytics_default"].Extra.Authorization)
}
