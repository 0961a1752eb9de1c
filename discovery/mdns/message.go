package mdns

import (
	"encoding/binary"

	"github.com/miekg/dns"
)

// unpack reads a packet; nil if it is malformed. Records that nobody here needs are left
// out if they cannot be read: there are programs that send wrong NSEC records, and what
// else they say is right.
func unpack(data []byte) *dns.Msg {
	if len(data) < 12 || len(data) > maxPacket {
		return nil
	}
	count := func(i int) int { return int(binary.BigEndian.Uint16(data[4+2*i:])) }
	if count(0) > maxRecords || count(1)+count(2)+count(3) > maxRecords {
		return nil
	}
	m := new(dns.Msg)
	head := [12]byte(data) // without a body, which tells what its bits mean
	clear(head[4:])
	if m.Unpack(head[:]) != nil {
		return nil
	}
	off := 12
	for range count(0) {
		name, end, err := dns.UnpackDomainName(data, off)
		if err != nil || end+4 > len(data) {
			return nil
		}
		m.Question = append(m.Question, dns.Question{Name: name, Qtype: binary.BigEndian.Uint16(data[end:]), Qclass: binary.BigEndian.Uint16(data[end+2:])})
		off = end + 4
	}
	for i, section := range []*[]dns.RR{&m.Answer, &m.Ns, &m.Extra} {
		for range count(i + 1) {
			rr, end := unpackRecord(data, off)
			if end < 0 {
				return nil
			}
			if rr != nil {
				*section = append(*section, rr)
			}
			off = end
		}
	}
	return m
}

// unpackRecord reads the record at off, and says where it ends; -1 if it is malformed.
func unpackRecord(data []byte, off int) (dns.RR, int) {
	_, body, err := dns.UnpackDomainName(data, off)
	if err != nil || body+10 > len(data) {
		return nil, -1
	}
	end := body + 10 + int(binary.BigEndian.Uint16(data[body+8:]))
	if end > len(data) {
		return nil, -1
	}
	rr, read, err := dns.UnpackRR(data[:end], off)
	if err == nil && read == end {
		return rr, end
	}
	switch binary.BigEndian.Uint16(data[body:]) {
	case dns.TypePTR, dns.TypeSRV, dns.TypeTXT, dns.TypeA, dns.TypeAAAA:
		return nil, -1
	}
	return nil, end
}
