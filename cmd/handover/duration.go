package main

import (
	"time"

	"github.com/handover-agent/handover/agent/config"
	"github.com/handover-agent/handover/rotation"
)

const rotationDay = rotation.Day

// durationFlag is a flag that takes the declaration's durations: Go's, with d
// and w.
type durationFlag time.Duration

// Set reads the flag.
func (d *durationFlag) Set(text string) error {
	parsed, err := config.ParseDuration(text)
	*d = durationFlag(parsed)
	return err
}

// String is the value as the declaration would write it.
func (d *durationFlag) String() string { return config.FormatDuration(time.Duration(*d)) }

// Type is shown in the help.
func (d *durationFlag) Type() string { return "duration" }
