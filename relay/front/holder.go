package front

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// Explain turns the error of a bind (network "tcp" or "udp") into one that says
// what to do. For a port that is taken it names the process that has it, where the
// system tells.
func Explain(err error, network, address string) error {
	if !taken(err) {
		return fmt.Errorf("cannot listen on %s (%s): %w", address, network, err)
	}
	_, port, splitErr := net.SplitHostPort(address)
	number, atoiErr := strconv.ParseUint(port, 10, 16)
	who := ""
	if splitErr == nil && atoiErr == nil {
		who = holder(network, uint16(number))
	}
	if who == "" {
		who = "another program (run this as its user or as root to see which)"
	}
	return fmt.Errorf("port %s (%s) is taken by %s: stop that, or choose another port: %w", port, network, who, err)
}

func taken(err error) bool {
	const wsaeaddrinuse = syscall.Errno(10048) // Windows has its own number
	return errors.Is(err, syscall.EADDRINUSE) || runtime.GOOS == "windows" && errors.Is(err, wsaeaddrinuse)
}

// holder names the process that listens on a port, by Linux's /proc; "" if that
// cannot be seen.
func holder(network string, port uint16) string {
	inodes := map[string]bool{}
	for _, table := range []string{"/proc/net/" + network, "/proc/net/" + network + "6"} {
		socketsOn(table, network, port, inodes)
	}
	if len(inodes) == 0 {
		return ""
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/[0-9]*")
	if err != nil {
		return ""
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !inodes[strings.TrimSuffix(strings.TrimPrefix(target, "socket:["), "]")] {
			continue
		}
		pid := strings.Split(link, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s (process %s)", strings.TrimSpace(string(name)), pid)
	}
	return ""
}

// socketsOn collects the inodes of the sockets bound to a port: of a TCP table
// those that listen, of a UDP table all.
func socketsOn(table, network string, port uint16, inodes map[string]bool) {
	const listening = "0A"
	file, err := os.Open(table)
	if err != nil {
		return
	}
	defer file.Close()
	suffix := fmt.Sprintf(":%04X", port)
	for lines := bufio.NewScanner(file); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 || !strings.HasSuffix(fields[1], suffix) || network == "tcp" && fields[3] != listening {
			continue
		}
		inodes[fields[9]] = true
	}
}
