// Command attack makes one system call that could reach the host, with arguments
// that change nothing, and ends with 0 when the kernel did not refuse it.
package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// bad is an address and a file descriptor that are not valid.
const bad = ^uintptr(0)

var calls = map[string][]uintptr{
	"bpf":               {unix.SYS_BPF, 0xffff},
	"perf_event_open":   {unix.SYS_PERF_EVENT_OPEN, 0, 0, bad, bad},
	"syslog":            {unix.SYS_SYSLOG, 10}, // the buffer's size
	"quotactl":          {unix.SYS_QUOTACTL, bad, bad},
	"fanotify_init":     {unix.SYS_FANOTIFY_INIT, 1 << 30},
	"setdomainname":     {unix.SYS_SETDOMAINNAME, bad, 1 << 20},
	"swapon":            {unix.SYS_SWAPON, bad},
	"io_uring_setup":    {unix.SYS_IO_URING_SETUP, 0, bad},
	"keyctl":            {unix.SYS_KEYCTL, 0, ^uintptr(2)}, // the id of the session's keyring
	"AF_VSOCK":          {unix.SYS_SOCKET, unix.AF_VSOCK, unix.SOCK_STREAM},
	"AF_ALG":            {unix.SYS_SOCKET, unix.AF_ALG, unix.SOCK_SEQPACKET},
	"open_by_handle_at": {unix.SYS_OPEN_BY_HANDLE_AT, bad, bad},
	"init_module":       {unix.SYS_INIT_MODULE, bad},
	"finit_module":      {unix.SYS_FINIT_MODULE, bad, bad},
	"delete_module":     {unix.SYS_DELETE_MODULE, bad},
	"reboot":            {unix.SYS_REBOOT, 1, 1, 1}, // not the magic numbers
	"kexec_load":        {unix.SYS_KEXEC_LOAD, 0, 99, bad, 1 << 40},
	"settimeofday":      {unix.SYS_SETTIMEOFDAY, bad},
	"getpid":            {unix.SYS_GETPID}, // anybody may
}

func main() {
	call, ok := calls[os.Args[1]]
	if !ok {
		fmt.Println("no call", os.Args[1])
		os.Exit(2)
	}
	call = append(call, make([]uintptr, 7-len(call))...)
	_, _, errno := unix.Syscall6(call[0], call[1], call[2], call[3], call[4], call[5], call[6])
	fmt.Println(unix.ErrnoName(errno))
	if errors.Is(errno, unix.EPERM) || errors.Is(errno, unix.EACCES) || errors.Is(errno, unix.ENOSYS) {
		os.Exit(1)
	}
}
