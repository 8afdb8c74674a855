//go:build !linux

package pgembed

import "syscall"

// dieWithParent has no counterpart outside Linux: there, a program that is killed leaves its
// server behind, and the next start on its folder answers ErrInUse with the way to end it.
func dieWithParent(*syscall.SysProcAttr) {}
