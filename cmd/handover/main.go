// Command handover issues, delivers, rotates and retires the tokens of
// Qualytics service accounts.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(process()) }

// process is one run as a process. The first SIGINT or SIGTERM ends it between
// two acts, a second one ends it at once. It leaves no core behind: there would
// be tokens in it.
func process() int {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{}) // where the system allows it
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return run(ctx, os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, env: os.LookupEnv})
}
