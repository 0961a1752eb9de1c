package setup

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
)

// firewall are the commands that let other devices through to the configured ports.
func (s *Setup) firewall(c *config.Config, shared []api.SetupShared) []api.SetupFirewall {
	tcp, udp := s.opened(c, shared)
	return []api.SetupFirewall{
		{System: api.SetupFirewallSystemUfw, Present: s.found("ufw"), Commands: ufw(tcp, udp)},
		{System: api.SetupFirewallSystemFirewalld, Present: s.found("firewall-cmd"), Commands: firewalld(tcp, udp)},
		{System: api.SetupFirewallSystemNftables, Present: s.found("nft"), Commands: nftables(tcp, udp)},
		{System: api.SetupFirewallSystemWindows, Present: s.found("netsh"), Commands: windows(tcp, udp)},
	}
}

func (s *Setup) found(program string) bool {
	_, err := s.LookPath(program)
	return err == nil
}

// opened are the ports that other devices use. A node's plain HTTP has the page from
// which phones get the CA; the setup page counts only where it is on, a scanner's two
// ports only where it is shared.
func (s *Setup) opened(c *config.Config, shared []api.SetupShared) (tcp, udp []string) {
	ports := []int{c.Node.HTTPPort, c.Node.HTTPSPort}
	setup := c.Node.SetupHTTPSPort
	switch s.Role {
	case api.SetupRoleGateway:
		ports, setup = []int{c.Gateway.HTTPPort, c.Gateway.Port}, c.Gateway.SetupHTTPSPort
		udp = append(udp, strconv.Itoa(c.Gateway.Port))
	case api.SetupRoleTracking:
		ports, setup = []int{c.Tracking.Port}, c.Tracking.SetupHTTPSPort
		udp = append(udp, strconv.Itoa(c.Tracking.Port))
	}
	if s.enabled(c) {
		ports = append(ports, setup)
	}
	for _, sh := range shared {
		ports = append(ports, sh.Port, sh.TlsPort)
	}
	if c.Bonjour.Enable && s.Role != api.SetupRoleTracking {
		udp = append(udp, "5353") // RFC 6762, section 3
	}
	for _, p := range ports {
		tcp = append(tcp, strconv.Itoa(p))
	}
	return tcp, udp
}

func ufw(tcp, udp []string) (commands []string) {
	for _, p := range tcp {
		commands = append(commands, "sudo ufw allow "+p+"/tcp comment 'Platen'")
	}
	for _, p := range udp {
		commands = append(commands, "sudo ufw allow "+p+"/udp comment 'Platen'")
	}
	return commands
}

func firewalld(tcp, udp []string) []string {
	var ports string
	for _, p := range tcp {
		ports += " --add-port=" + p + "/tcp"
	}
	for _, p := range udp {
		ports += " --add-port=" + p + "/udp"
	}
	return []string{"sudo firewall-cmd --permanent" + ports, "sudo firewall-cmd --reload"}
}

// nftables puts the rules first in the usual chain: behind a reject they would do nothing.
func nftables(tcp, udp []string) []string {
	rule := func(protocol string, ports []string) string {
		return fmt.Sprintf(`sudo nft insert rule inet filter input %s dport '{ %s }' accept comment '"Platen"'`, protocol, strings.Join(ports, ", "))
	}
	commands := []string{rule("tcp", tcp)}
	if len(udp) > 0 {
		commands = append(commands, rule("udp", udp))
	}
	return commands
}

func windows(tcp, udp []string) []string {
	rule := func(protocol string, ports []string) string {
		return fmt.Sprintf(`netsh advfirewall firewall add rule name="Platen %s" dir=in action=allow protocol=%s localport=%s profile=private,domain`,
			protocol, protocol, strings.Join(ports, ","))
	}
	commands := []string{rule("TCP", tcp)}
	if len(udp) > 0 {
		commands = append(commands, rule("UDP", udp))
	}
	return commands
}
