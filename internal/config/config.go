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

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
)

// Config is the content of platen.ini. Load fills the defaults in.
type Config struct {
	Node    Node    `ini:"node"`
	Gateway Gateway `ini:"gateway"`
	Log     Log     `ini:"log"`
	Storage Storage `ini:"storage"`
}

// Node is section [node]: a node, joined to a gateway or not.
type Node struct {
	Name           string   `ini:"Name" doc:"What people see; empty: the computer's name"`
	Location       string   `ini:"Location" doc:"Where it stands, for people"`
	HTTPPort       int      `ini:"HTTPPort" default:"18622" unit:"port" doc:"HTTP; on loopback, and on other addresses where External is set"`
	HTTPSPort      int      `ini:"HTTPSPort" default:"18623" unit:"port" doc:"HTTPS for other devices"`
	External       bool     `ini:"External" default:"FALSE" doc:"Let other devices of the local network in"`
	Address        string   `ini:"Address" unit:"IP address" doc:"The one address to listen on for other devices; empty: all"`
	Names          []string `ini:"Names" unit:"host names" doc:"Names beside its addresses by which browsers reach this node, with a port if another one is forwarded here"`
	TrustLoopback  bool     `ini:"TrustLoopback" default:"TRUE" doc:"The user of this computer needs no sign-in on it"`
	AllowPlainHTTP bool     `ini:"AllowPlainHTTP" default:"FALSE" doc:"Let other devices sign in without encryption; others on the network can read along"`
	MaxRole        api.Role `ini:"MaxRole" default:"operator" unit:"admin, operator, user or kiosk" doc:"Highest role of users who come through the gateway"`
	AllowOrigin    Origins  `ini:"Access-Control-Allow-Origin" legacy:"yes" unit:"origins" doc:"Web pages of others that may scan here; checked and kept, but this version lets none in"`
	EnableWebSetup bool     `ini:"EnableWebSetup" legacy:"yes" default:"FALSE" doc:"The page for setting this node up; this version has none"`
	Drivers        []string `ini:"Drivers" default:"virtual,sane" unit:"names" doc:"Drivers that look for scanners"`
}

// Gateway is section [gateway].
type Gateway struct {
	Name           string   `ini:"Name" doc:"What people see; empty: the computer's name"`
	HTTPPort       int      `ini:"HTTPPort" default:"18602" unit:"port" doc:"HTTP: sends browsers to HTTPS"`
	Port           int      `ini:"Port" default:"18603" unit:"port" doc:"Everything else, TCP and UDP: browsers and nodes"`
	Names          []string `ini:"Names" unit:"host names" doc:"Names beside its addresses by which browsers reach this gateway, with a port if another one is forwarded here"`
	PublicAddress  string   `ini:"PublicAddress" unit:"host:port" doc:"What join tokens and QR codes say; empty: the address of the network"`
	AllowPlainHTTP bool     `ini:"AllowPlainHTTP" default:"FALSE" doc:"Let devices sign in without encryption; others on the network can read along"`
}

// Log is section [log].
type Log struct {
	Level slog.Level `ini:"LogLevel" legacy:"yes" default:"info" unit:"debug, info, warn or error" doc:"From which level on the log is written"`
}

// Storage is section [storage].
type Storage struct {
	Reserve int64 `ini:"Reserve" default:"512M" unit:"bytes, with K, M or G" doc:"Room on the disk that scans leave free"`
}

// Origins are foreign web origins. The zero Origins holds none.
type Origins struct {
	Any  bool // "*"
	List []access.Origin
}

// Allows reports whether the origin is one of them, compared as a whole.
func (o Origins) Allows(origin access.Origin) bool {
	for _, one := range o.List {
		if one == origin {
			return true
		}
	}
	return o.Any
}

// Default is the configuration of an empty file.
func Default() *Config {
	c, err := Load("", nil)
	if err != nil {
		panic("config: " + err.Error()) // the defaults are constants of this file
	}
	return c
}
