package sharing

import (
	"maps"
	"net"
	"strconv"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/node/airscan"
)

// maxNote is how much of a location is announced: an entry of a TXT record has 255 bytes.
const maxNote = 200

// records are what is announced of a scanner: nothing until it is known what it can do.
func (sh *share) records(host, page string) []discovery.Record {
	d, known := sh.server.Describe()
	if !known {
		return nil
	}
	name, location := sh.Name, sh.Location
	if sh.Remote {
		name, location = d.Name, d.Location
	}
	record := func(kind, scheme string, port int) discovery.Record {
		base := scheme + "://" + net.JoinHostPort(host, strconv.Itoa(port))
		text := maps.Clone(d.Text)
		text["representation"] = base + airscan.IconPath
		text["adminurl"] = base + "/"
		if page != "" {
			text["adminurl"] = page
		}
		if location != "" {
			text["note"] = discovery.Cut(location, maxNote)
		}
		return discovery.Record{Type: kind, Name: discovery.Instance(name), Port: uint16(port), Text: text}
	}
	return []discovery.Record{record(discovery.TypeScanner, "http", sh.port), record(discovery.TypeSecureScanner, "https", sh.tlsPort)}
}
