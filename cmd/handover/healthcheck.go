package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"
)

// maxSaid bounds what is read of an unhealthy agent's answer, in bytes.
const maxSaid = 512

func (a *app) healthcheckCommand() *cobra.Command {
	var address string
	var live bool
	timeout := durationFlag(3 * time.Second)
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask a running agent or follower whether it is ready; for containers",
		Long: `Ask a running agent or follower whether it is ready to do its work (/readyz), or
with --live whether its process works (/livez). It exits with 0 when that is so
and with 1 when it isn't, as a container's HEALTHCHECK wants it.

The address is agent.listen or follow.listen of the declaration; --url names
another one, and then no declaration is needed.`,
		Example: `  handover healthcheck
  handover healthcheck --live --url http://127.0.0.1:9632`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			base, err := a.healthAddress(address)
			if err != nil {
				return err
			}
			path := "/readyz"
			if live {
				path = "/livez"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Duration(timeout))
			defer cancel()
			return a.healthcheck(ctx, base+path)
		},
	}
	cmd.Flags().StringVar(&address, "url", "", "where to ask, instead of what the declaration says: http://HOST:PORT")
	cmd.Flags().BoolVar(&live, "live", false, "ask whether the process works, not whether it is ready")
	cmd.Flags().Var(&timeout, "timeout", "how long to wait for the answer")
	return cmd
}

// healthAddress is where to ask, without a path.
func (a *app) healthAddress(given string) (string, error) {
	if given != "" {
		u, err := url.Parse(given)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" ||
			u.RawQuery != "" || u.User != nil {
			return "", usage("--url %q is no address of an agent: write http://HOST:PORT", given)
		}
		return u.Scheme + "://" + u.Host, nil
	}
	d, err := a.loadDocument()
	if err != nil {
		return "", err
	}
	var key, listen string
	if d.Follower != nil {
		key, listen = "follow.listen", d.Follower.Listen
	} else {
		key, listen = "agent.listen", d.Agent.Agent.Listen
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil || port == "0" {
		return "", fmt.Errorf("%s is %q, which names no port to ask at; give --url", key, listen)
	}
	return "http://" + net.JoinHostPort(reachable(host), port), nil
}

// reachable is the host to ask at for one to listen on: who listens everywhere
// is on this machine too.
func reachable(host string) string {
	if host == "" {
		return "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil || !addr.IsUnspecified():
		return host
	case addr.Is6():
		return "::1"
	}
	return "127.0.0.1"
}

// healthcheck asks once, past any proxy, and follows no redirect.
func (a *app) healthcheck(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("ask the agent or follower: %w", err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, maxSaid)) // what there is of it
		return fmt.Errorf("GET %s: %d: %s", address, answer.StatusCode, printable(string(said)))
	}
	_, err = fmt.Fprintln(a.out, "ok")
	return err
}

// printable makes one line of a text from outside.
func printable(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text))
}
