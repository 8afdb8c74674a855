//go:build !linux

package pgembed

import "syscall"

// dieWithParent does nothing: only Linux has the signal. A program that is killed leaves its server running, and the next
// start on its folder returns ErrInUse with the process id.
func dieWithParent(*syscall.SysProcAttr) {}
