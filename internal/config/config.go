// Package config is everything that a person can set: one file, platen.ini, for node
// and gateway, with PLATEN_SECTION_KEY variables over it. The commands load it and
// hand each part its own section; nothing else reads files or variables.
//
// Loading reports all faults at once, each with its line. An unknown key is a fault.
// Keys that users know from their present service keep their names and may stand
// before the first section, as they do there.
package config

import (
	"log/slog"
	"net/netip"
	"strings"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// Config is the content of platen.ini. Load fills the defaults in.
type Config struct {
	Node    Node    `ini:"node"`
	Gateway Gateway `ini:"gateway"`
	Log     Log     `ini:"log"`
	Storage Storage `ini:"storage"`
	OIDC    OIDC    `ini:"oidc"`
	TLS     TLS     `ini:"tls"`
	ACME    ACME    `ini:"acme"`
	Bonjour Bonjour `ini:"bonjour"`
	ESCL    ESCL    `ini:"escl"`
	Roads   Roads   `ini:"roads"`
	TURN    TURN    `ini:"turn"`
	License License `ini:"license"`

	Tracking Tracking `ini:"tracking"`
	Alerts   Alerts   `ini:"alerts"`
}

// The tags of a field: ini is the key; legacy keys may stand before the first section;
// hot keys need no restart; opens: a change may let more people in; secret values are
// never shown.

// Node is section [node]: a node, joined to a gateway or not.
type Node struct {
	Name           string   `ini:"Name" doc:"What people see; empty: the computer's name"`
	Location       string   `ini:"Location" doc:"Where it stands, for people"`
	HTTPPort       int      `ini:"HTTPPort" hot:"yes" default:"18622" unit:"port" doc:"HTTP; on loopback, and on other addresses where External is set"`
	HTTPSPort      int      `ini:"HTTPSPort" hot:"yes" default:"18623" unit:"port" doc:"HTTPS for other devices"`
	External       bool     `ini:"External" hot:"yes" opens:"yes" default:"FALSE" doc:"Let other devices of the local network in"`
	Address        string   `ini:"Address" hot:"yes" opens:"yes" unit:"IP address" doc:"The one address to listen on for other devices; empty: all"`
	Names          []string `ini:"Names" hot:"yes" opens:"yes" unit:"host names" doc:"Names beside its addresses by which browsers reach this node, with a port if another one is forwarded here"`
	TrustLoopback  bool     `ini:"TrustLoopback" hot:"yes" opens:"yes" default:"TRUE" doc:"The user of this computer needs no sign-in on it"`
	AllowPlainHTTP bool     `ini:"AllowPlainHTTP" hot:"yes" opens:"yes" default:"FALSE" doc:"Let other devices sign in without encryption; others on the network can read along"`
	MaxRole        api.Role `ini:"MaxRole" hot:"yes" opens:"yes" default:"operator" unit:"admin, operator, user or kiosk" doc:"Highest role of users who come through the gateway"`
	AllowOrigin    Origins  `ini:"Access-Control-Allow-Origin" legacy:"yes" hot:"yes" opens:"yes" unit:"* or origins" doc:"Web pages of others that may scan here: one origin, several with commas, or * for every page there is; empty: those that a person allowed"`
	EnableWebSetup bool     `ini:"EnableWebSetup" legacy:"yes" hot:"yes" opens:"yes" default:"FALSE" doc:"The page for setting this node up, on ports of its own; administrators sign in to it"`
	SetupHTTPPort  int      `ini:"SetupHTTPPort" hot:"yes" default:"18625" unit:"port" doc:"HTTP of the setup page, on loopback"`
	SetupHTTPSPort int      `ini:"SetupHTTPSPort" hot:"yes" default:"18626" unit:"port" doc:"HTTPS of the setup page for other devices, where External is set"`
	Drivers        []string `ini:"Drivers" default:"virtual, sane" unit:"names" doc:"Drivers that look for scanners"`
	FindGateway    bool     `ini:"FindGateway" default:"TRUE" doc:"A node without a gateway looks for the one of the local network and asks it to be let in; local mode never does"`
	Gateways       []string `ini:"Gateways" unit:"host:port" doc:"Gateways that a node without one asks to be let in, in this order, in place of looking for one"`

	Encryption scan.Encryption `ini:"Encryption" hot:"yes" opens:"yes" default:"off" unit:"off, preferred or required" doc:"Whether pages go through the gateway sealed for the browser that scanned them: preferred asks browsers for it, required refuses everything else"`
}

// Gateway is section [gateway].
type Gateway struct {
	Name           string   `ini:"Name" doc:"What people see; empty: the computer's name"`
	HTTPPort       int      `ini:"HTTPPort" default:"18602" unit:"port" doc:"HTTP: sends browsers to HTTPS"`
	Port           int      `ini:"Port" default:"18603" unit:"port" doc:"Everything else, TCP and UDP: browsers and nodes"`
	Names          []string `ini:"Names" hot:"yes" opens:"yes" unit:"host names" doc:"Names beside its addresses by which browsers reach this gateway, with a port if another one is forwarded here"`
	PublicAddress  string   `ini:"PublicAddress" hot:"yes" unit:"host:port" doc:"What join tokens and QR codes say; empty: the address of the network"`
	AllowPlainHTTP bool     `ini:"AllowPlainHTTP" opens:"yes" default:"FALSE" doc:"Let devices sign in without encryption; others on the network can read along"`
	AllowOrigin    Origins  `ini:"Access-Control-Allow-Origin" legacy:"yes" hot:"yes" opens:"yes" unit:"* or origins" doc:"Web pages of others that may scan through this gateway: one origin, several with commas, or * for every page there is; empty: those that a person allowed"`
	EnableWebSetup bool     `ini:"EnableWebSetup" legacy:"yes" hot:"yes" opens:"yes" default:"FALSE" doc:"The page for setting this gateway up, on ports of its own; administrators sign in to it"`
	HTTP3          bool     `ini:"HTTP3" default:"FALSE" doc:"Tell browsers to come by HTTP/3, over UDP; it is answered in any case, and takes more of the processor than HTTP/2"`
	SetupHTTPPort  int      `ini:"SetupHTTPPort" hot:"yes" default:"18605" unit:"port" doc:"HTTP of the setup page, on loopback"`
	SetupHTTPSPort int      `ini:"SetupHTTPSPort" hot:"yes" default:"18606" unit:"port" doc:"HTTPS of the setup page for other devices"`
}

// Log is section [log].
type Log struct {
	Level slog.Level `ini:"LogLevel" legacy:"yes" hot:"yes" default:"info" unit:"debug, info, warn or error" doc:"From which level on the log is written"`
}

// Storage is section [storage].
type Storage struct {
	Reserve int64 `ini:"Reserve" default:"512M" unit:"bytes, with K, M or G" doc:"Room on the disk that scans leave free"`
}

// OIDC is section [oidc]: people sign in at an OpenID provider. Off without Issuer.
type OIDC struct {
	Issuer         string   `ini:"Issuer" opens:"yes" unit:"https URL" doc:"The OpenID provider at which people sign in; empty: none"`
	ClientID       string   `ini:"ClientID" opens:"yes" doc:"As the provider calls this service"`
	ClientSecret   string   `ini:"ClientSecret" secret:"yes" doc:"Given by the provider; empty: none is needed, PKCE alone"`
	Name           string   `ini:"Name" doc:"What the sign-in button says; empty: the provider's host"`
	Scopes         []string `ini:"Scopes" opens:"yes" default:"openid, profile, email" unit:"names" doc:"What the provider is asked for"`
	GroupsClaim    string   `ini:"GroupsClaim" opens:"yes" default:"groups" doc:"The claim of the ID token that lists a person's groups"`
	AdminGroups    []string `ini:"AdminGroups" opens:"yes" unit:"names" doc:"Groups whose members are administrators"`
	OperatorGroups []string `ini:"OperatorGroups" opens:"yes" unit:"names" doc:"Groups whose members are operators"`
	UserGroups     []string `ini:"UserGroups" opens:"yes" unit:"names" doc:"Groups whose members are users"`
	KioskGroups    []string `ini:"KioskGroups" opens:"yes" unit:"names" doc:"Groups whose members are kiosks"`
	DefaultRole    api.Role `ini:"DefaultRole" opens:"yes" unit:"admin, operator, user, kiosk or empty" doc:"Role of people who are in none of these groups; empty: they are not let in"`
}

// TLS is section [tls]: own certificates as files. One that is uploaded on the setup
// page is kept elsewhere.
type TLS struct {
	LocalCertificate    string `ini:"LocalCertificate" unit:"file" doc:"Certificate (PEM, with its chain) for names that are bound to 127.0.0.1"`
	LocalKey            string `ini:"LocalKey" unit:"file" doc:"Its key (PEM), which nobody else may read"`
	ExternalCertificate string `ini:"ExternalCertificate" unit:"file" doc:"Certificate (PEM, with its chain) for other devices; empty: ACME's, else that of Platen's own CA"`
	ExternalKey         string `ini:"ExternalKey" unit:"file" doc:"Its key (PEM), which nobody else may read"`
}

// ACME is section [acme]: certificates from an ACME server. Off without Names.
type ACME struct {
	Directory string   `ini:"Directory" default:"https://acme-v02.api.letsencrypt.org/directory" unit:"https URL" doc:"Directory of the ACME server"`
	Email     string   `ini:"Email" doc:"Where the server may write to"`
	Names     []string `ini:"Names" unit:"host names" doc:"Names to get certificates for; they become publicly known"`
	Agree     bool     `ini:"Agree" default:"FALSE" doc:"You agree to the terms of the ACME server"`
	Challenge string   `ini:"Challenge" default:"http" unit:"http, tls-alpn or dns" doc:"How the names are proven: http needs port 80 of the names to lead here, tls-alpn port 443, dns the DNSHook"`
	DNSHook   string   `ini:"DNSHook" unit:"file" doc:"Program that sets and removes the DNS record, for Challenge=dns"`
	Root      string   `ini:"Root" unit:"file" doc:"CA (PEM) that vouches for a private ACME server; empty: the system's"`
}

// Bonjour is section [bonjour]: what is announced to the local network, by mDNS. What
// listens on loopback only is never announced.
type Bonjour struct {
	Enable bool   `ini:"Enable" hot:"yes" default:"TRUE" doc:"Let phones and computers nearby find this service and its shared scanners, as far as they may use them"`
	Name   string `ini:"Name" hot:"yes" unit:"a name" doc:"The name to be announced; empty: the service's"`
	Tag    string `ini:"Tag" hot:"yes" unit:"a name" doc:"A word that is announced beside the name, by which a client picks out the services of one group"`
	Domain string `ini:"Domain" unit:"DNS domain" doc:"Where multicast is filtered: a domain whose name server lists gateways (DNS-SD); empty: none"`
}

// ESCL is section [escl]: scanners for computers nearby that have no Platen and no
// sign-in.
type ESCL struct {
	Enable  bool           `ini:"Enable" hot:"yes" opens:"yes" default:"FALSE" doc:"Let every computer of the local network use the shared scanners, without sign-in"`
	Port    int            `ini:"Port" default:"18630" unit:"port" doc:"HTTP of the first shared scanner, with HTTPS at the next; every further scanner has the next two and keeps them"`
	Allow   []netip.Prefix `ini:"Allow" hot:"yes" opens:"yes" unit:"networks" doc:"Who may, as 192.168.1.0/24; empty: computers of the networks that this one is on"`
	Present []string       `ini:"Present" hot:"yes" opens:"yes" unit:"scanner IDs" doc:"Scanners of other nodes that this node shows around it; the gateway has to allow it"`
}

// Roads is section [roads]: from browsers to a node without the gateway between them.
type Roads struct {
	Direct     bool     `ini:"Direct" opens:"yes" default:"TRUE" doc:"Browsers that a gateway vouches for may fetch pages from its nodes directly, by UDP; a node without a gateway opens nothing"`
	WebRTCPort int      `ini:"WebRTCPort" default:"18624" unit:"port" doc:"UDP of a node for WebRTC; WebTransport has the UDP port with the number of HTTPSPort"`
	STUN       []string `ini:"STUN" unit:"host:port" doc:"Servers, named by the gateway, that tell browsers and nodes behind NAT their own address; empty: none but the gateway's own, where [turn] Enable is set"`
}

// TURN is section [turn]: the gateway passes the packets of WebRTC on where a network
// lets a browser reach nothing else.
type TURN struct {
	Enable     bool   `ini:"Enable" opens:"yes" default:"FALSE" doc:"Run a TURN and STUN server at the gateway; it reaches nodes with a link and nothing else"`
	Port       int    `ini:"Port" default:"3478" unit:"port" doc:"Its port, UDP and TCP"`
	Address    string `ini:"Address" unit:"IP address" doc:"The address that browsers and nodes reach it at; empty: the network's"`
	RelayPorts string `ini:"RelayPorts" default:"49160-49200" unit:"ports from-to" doc:"UDP ports that it passes packets on by: one for each browser at a time"`
}

// License is section [license]: whose licences are taken at this end, and which it has.
type License struct {
	Vendors       []string `ini:"Vendors" hot:"yes" opens:"yes" unit:"pins" doc:"Keys of the vendors whose licences are taken here; empty: nobody's, and none is asked for"`
	ProductKey    string   `ini:"ProductKey" legacy:"yes" hot:"yes" opens:"yes" unit:"keys with ;" doc:"The licence, or several with semicolons; never together with HandshakeCode"`
	HandshakeCode string   `ini:"HandshakeCode" legacy:"yes" hot:"yes" opens:"yes" unit:"ORG-CODE" doc:"Organisation and code, by which the licence tracking server finds the licence"`
	Servers       []string `ini:"Servers" opens:"yes" unit:"host:port#pin" doc:"The licence tracking server, and its standby after it; empty: a gateway is its own, and a node asks its gateway"`
}

// Tracking is section [tracking]: a licence tracking server by itself, platen lts.
type Tracking struct {
	Name           string   `ini:"Name" doc:"What people see; empty: the computer's name"`
	Port           int      `ini:"Port" default:"18643" unit:"port" doc:"HTTPS: browsers, gateways and nodes"`
	Names          []string `ini:"Names" hot:"yes" opens:"yes" unit:"host names" doc:"Names beside its addresses by which it is reached, with a port if another one is forwarded here"`
	EnableWebSetup bool     `ini:"EnableWebSetup" hot:"yes" opens:"yes" default:"FALSE" doc:"The page for setting this server up, on ports of its own; administrators sign in to it"`
	SetupHTTPPort  int      `ini:"SetupHTTPPort" hot:"yes" default:"18645" unit:"port" doc:"HTTP of the setup page, on loopback"`
	SetupHTTPSPort int      `ini:"SetupHTTPSPort" hot:"yes" default:"18646" unit:"port" doc:"HTTPS of the setup page for other devices"`
	Standby        string   `ini:"Standby" opens:"yes" unit:"a pin" doc:"Key of the server that may copy all of this one's state, to stand in for it"`
	Main           string   `ini:"Main" unit:"host:port#pin" doc:"The server that this one stands in for; empty: it is the main one"`
}

// Alerts is section [alerts]: how a licence tracking server sends mail. To whom, and when, is set on its page.
type Alerts struct {
	SMTP     string `ini:"SMTP" opens:"yes" unit:"host:port" doc:"The mail server; empty: no mail is sent"`
	Security string `ini:"Security" default:"starttls" unit:"starttls, tls or none" doc:"How the connection to it is encrypted; none only within a network that you trust"`
	From     string `ini:"From" unit:"an address" doc:"The sender; empty: platen@ and this computer's name"`
	User     string `ini:"User" doc:"For signing in at the mail server; empty: without"`
	Password string `ini:"Password" secret:"yes" doc:"Its password"`
}

// Ports are the first and the last of RelayPorts.
func (t TURN) Ports() (first, last uint16) {
	first, last, _ = parsePorts(t.RelayPorts) // Load has judged it
	return first, last
}

// Origins are foreign web origins. The zero Origins holds none.
type Origins struct {
	Any  bool // "*"
	List []access.Origin
}

// String is the value of the key.
func (o Origins) String() string {
	if o.Any {
		return "*"
	}
	list := make([]string, len(o.List))
	for i, origin := range o.List {
		list[i] = origin.String()
	}
	return strings.Join(list, ", ")
}

// Default is the configuration of an empty file.
func Default() *Config {
	c, err := Load("", nil)
	if err != nil {
		panic("config: " + err.Error()) // the defaults are constants of this file
	}
	return c
}
