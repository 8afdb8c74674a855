package pgembed

import "syscall"

// dieWithParent has the kernel send the fast shutdown when the thread that started the server
// ends, however it ends. startProcess keeps that thread for the server's whole life.
func dieWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = fastShutdown }
