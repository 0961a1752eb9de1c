// Command platen is the whole of Platen in one program: local mode, node, gateway
// and the command line that talks to them. This package holds flags and wiring
// only; each command has a file of its own.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/pdfium"
	"github.com/platen-scan/platen/node/driver/virtual"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/problem"
)

func main() {
	// First of all: a worker that ran on into the commands would start nodes that start workers.
	if driver.IsWorker(os.Args[1:]) {
		os.Exit(driver.WorkerMain(os.Args[1:], []driver.Driver{virtual.New(), pdfium.New()}, imaging.Codecs{}))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// errUsage marks errors in how a command was called.
var errUsage = errors.New("wrong usage")

// commands is the command line.
type commands struct {
	Config string `help:"Configuration file (default: platen.ini in the data folder)." placeholder:"FILE" type:"path"`
	Data   string `help:"Data folder." placeholder:"DIR" type:"path" env:"PLATEN_DATA"`

	Local   localCmd   `cmd:"" default:"withargs" help:"Scan on this machine: node and web app on loopback (the default command)."`
	Node    nodeCmd    `cmd:"" help:"Run a node: share this machine's scanners through a gateway."`
	Gateway gatewayCmd `cmd:"" help:"Run a gateway, where nodes register and browsers come."`
	LTS     ltsCmd     `cmd:"" name:"lts" help:"Run a licence tracking server, or look after one."`
	Devices devicesCmd `cmd:"" help:"List scanners."`
	Find    findCmd    `cmd:"" help:"List the gateways, nodes and shared scanners of the local network."`
	Scan    scanCmd    `cmd:"" help:"Scan to a file."`
	Jobs    jobsCmd    `cmd:"" help:"List scans, or act on one."`
	Pair    pairCmd    `cmd:"" help:"Make a pairing code for a phone or another computer."`
	Login   loginCmd   `cmd:"" help:"Sign this computer's commands in at a gateway; a person allows it in a browser."`
	Origins originsCmd `cmd:"" help:"Web pages of others that may scan here."`
	Tokens  tokensCmd  `cmd:"" help:"API tokens for machines."`
	License licenseCmd `cmd:"" help:"Licences: make, read and check them; what the running service is licensed for."`
	Audit   auditCmd   `cmd:"" help:"The log of what was done."`
	Setup   setupCmd   `cmd:"" help:"Print a link to the web setup page, where that is switched on."`
	Check   checkCmd   `cmd:"" help:"Check configuration, drivers, ports and disk; report all faults at once."`
	Version versionCmd `cmd:"" help:"Print the version."`
}

// session is what every command gets.
type session struct {
	ctx            context.Context
	stdout, stderr io.Writer
	config, data   string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var cli commands
	exited := -1
	parser, err := kong.New(&cli,
		kong.Name("platen"),
		kong.Description("Platen puts any document scanner in front of any browser."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(stderr, "platen:", err)
		return exitFailed
	}
	cmd, err := parser.Parse(joinPins(args))
	if exited >= 0 { // --help
		return exited
	}
	if err != nil {
		fmt.Fprintf(stderr, "platen: %v\nSee platen --help.\n", err)
		return exitUsage
	}
	s := &session{ctx: ctx, stdout: stdout, stderr: stderr, config: cli.Config, data: cli.Data}
	if s.data == "" {
		if s.data, err = config.DefaultDir(roleOf(cmd.Command())); err != nil {
			return s.exit(err)
		}
	}
	return s.exit(cmd.Run(s))
}

// joinPins writes "--gateway PIN" as "--gateway=PIN" where the pin begins with a hyphen, as
// one in 64 does: it would be taken for a flag.
func joinPins(args []string) []string {
	var joined []string
	for i := 0; i < len(args); i++ {
		flag := strings.HasPrefix(args[i], "--") && !strings.Contains(args[i], "=")
		if flag && i+1 < len(args) && strings.HasPrefix(args[i+1], "-") && license.IsPin(args[i+1]) {
			joined = append(joined, args[i]+"="+args[i+1])
			i++
			continue
		}
		joined = append(joined, args[i])
	}
	return joined
}

// roleOf tells whose data folder a command works on where none is named.
func roleOf(command string) string {
	for _, role := range []string{"gateway", "lts"} {
		if command == role || strings.HasPrefix(command, role+" ") {
			return role
		}
	}
	return "node"
}

// exit says what went wrong, for people, and picks the exit code.
func (s *session) exit(err error) int {
	var p *problem.Error
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintln(s.stderr, "platen:", err)
		return exitUsage
	case errors.As(err, &p):
		fmt.Fprintln(s.stderr, "platen:", p.Code.Title())
		if p.Detail != "" {
			fmt.Fprintln(s.stderr, "  "+p.Detail)
		}
		fmt.Fprintf(s.stderr, "  %s [%s]\n", p.Code.Next(), p.Code)
		return exitFailed
	case errors.Is(err, context.Canceled) && s.ctx.Err() != nil:
		fmt.Fprintln(s.stderr, "platen: stopped")
		return exitFailed
	}
	fmt.Fprintln(s.stderr, "platen:", err)
	return exitFailed
}
