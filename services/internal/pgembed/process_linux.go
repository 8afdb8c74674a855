package pgembed

import "syscall"

// dieWithParent makes the kernel send the signal of a fast shutdown when the thread that started the server ends for any
// reason. startProcess keeps that thread as long as the server runs.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = fastShutdown }
