//go:build !linux

package main

import (
	"errors"
	"os/exec"
)

var errNoDisk = errors.New("only Linux has disks that a program can mount for itself")

func apart(*exec.Cmd) error { return errNoDisk }

func newDisk(string) (*disk, error) { return nil, errNoDisk }
