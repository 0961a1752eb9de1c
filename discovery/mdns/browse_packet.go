package mdns

import (
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

// readEntries reads what a response says of services and hosts of the local network;
// false if it is none, or malformed.
func readEntries(data []byte) ([]discovery.Entry, bool) {
	m := unpack(data)
	if m == nil || !m.Response || m.Opcode != dns.OpcodeQuery || m.Rcode != dns.RcodeSuccess {
		return nil, false
	}
	var entries []discovery.Entry
	for _, section := range [][]dns.RR{m.Answer, m.Extra} {
		for _, rr := range section {
			if e, ok := readEntry(rr); ok {
				entries = append(entries, e)
			}
		}
	}
	return entries, true
}

func readEntry(rr dns.RR) (discovery.Entry, bool) {
	h := rr.Header()
	if h.Class&^flush != dns.ClassINET {
		return discovery.Entry{}, false
	}
	e := discovery.Entry{TTL: time.Duration(h.Ttl) * time.Second, Flush: h.Class&flush != 0}
	var ok bool
	switch rr := rr.(type) {
	case *dns.PTR:
		e.Kind = discovery.PTR
		e.Name, e.Type, ok = readInstance(rr.Ptr)
		ok = ok && strings.EqualFold(h.Name, e.Type+"."+domain)
	case *dns.SRV:
		e.Kind, e.Port = discovery.SRV, rr.Port
		e.Name, e.Type, ok = readInstance(h.Name)
		if ok {
			e.Host, ok = readHost(rr.Target)
		}
	case *dns.TXT:
		e.Kind = discovery.TXT
		e.Name, e.Type, ok = readInstance(h.Name)
		for _, s := range rr.Txt {
			e.Text = append(e.Text, discovery.Unescape(s))
		}
	case *dns.A:
		e.Kind = discovery.A
		e.Host, e.Addr, ok = readAddr(h.Name, rr.A)
	case *dns.AAAA:
		e.Kind = discovery.AAAA
		e.Host, e.Addr, ok = readAddr(h.Name, rr.AAAA)
	}
	return e, ok
}

func readAddr(name string, ip []byte) (string, netip.Addr, bool) {
	host, ok := readHost(name)
	addr, valid := netip.AddrFromSlice(ip)
	return host, addr.Unmap(), ok && valid
}

// readInstance takes the name of a service apart.
func readInstance(name string) (instance, typ string, ok bool) {
	labels := dns.SplitDomainName(name)
	if len(labels) != 4 || !strings.EqualFold(labels[3]+".", domain) {
		return "", "", false
	}
	return discovery.Unescape(labels[0]), labels[1] + "." + labels[2], true
}

// readHost is the name of a host without the last dot.
func readHost(name string) (string, bool) {
	labels := dns.SplitDomainName(name)
	if len(labels) < 2 || !strings.EqualFold(labels[len(labels)-1]+".", domain) {
		return "", false
	}
	for i := range labels {
		labels[i] = discovery.Unescape(labels[i])
		if strings.Contains(labels[i], ".") { // it could not be told from two labels
			return "", false
		}
	}
	return strings.Join(labels, "."), true
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// writeQuestions makes packets of questions, with what is known of their answers. What
// has no room in a packet follows in others, as RFC 6762, section 7.2, says.
func writeQuestions(questions []discovery.Question, known func(discovery.Question) []discovery.Entry) [][]byte {
	var packets [][]byte
	m := &dns.Msg{Compress: true}
	var answers []dns.RR
	done := func() {
		packets = append(packets, fill(m, answers)...)
		m, answers = &dns.Msg{Compress: true}, nil
	}
	for _, q := range questions {
		name, typ, ok := questionName(q)
		if !ok {
			continue
		}
		m.Question = append(m.Question, dns.Question{Name: name, Qtype: typ, Qclass: dns.ClassINET})
		if m.Len() > maxMessage {
			last := m.Question[len(m.Question)-1]
			m.Question = m.Question[:len(m.Question)-1]
			done()
			m.Question = append(m.Question, last)
		}
		for _, e := range known(q) {
			if target, err := instanceName(e.Name, e.Type); err == nil {
				answers = append(answers, &dns.PTR{Hdr: header(name, dns.TypePTR, uint32(e.TTL/time.Second)), Ptr: target})
			}
		}
	}
	if len(m.Question) > 0 {
		done()
	}
	return packets
}

// fill packs a message with known answers, and more messages for those that it cannot
// hold.
func fill(m *dns.Msg, answers []dns.RR) [][]byte {
	var packets [][]byte
	pack := func() {
		if data, err := m.Pack(); err == nil {
			packets = append(packets, data)
		}
	}
	for _, rr := range answers {
		if m.Answer = append(m.Answer, rr); m.Len() > maxMessage && len(m.Question)+len(m.Answer) > 1 {
			m.Answer = m.Answer[:len(m.Answer)-1]
			m.Truncated = true
			pack()
			m = &dns.Msg{Compress: true, Answer: []dns.RR{rr}}
		}
	}
	pack()
	return packets
}

func questionName(q discovery.Question) (name string, typ uint16, ok bool) {
	var err error
	switch q.Kind {
	case discovery.PTR:
		return q.Type + "." + domain, dns.TypePTR, true
	case discovery.SRV:
		name, err = instanceName(q.Name, q.Type)
		typ = dns.TypeSRV
	case discovery.TXT:
		name, err = instanceName(q.Name, q.Type)
		typ = dns.TypeTXT
	case discovery.A:
		name, err = canonical(escape(q.Host) + ".")
		typ = dns.TypeA
	case discovery.AAAA:
		name, err = canonical(escape(q.Host) + ".")
		typ = dns.TypeAAAA
	default:
		return "", 0, false
	}
	return name, typ, err == nil
}

// escape makes the labels of a host's name such that none of their bytes has a meaning.
func escape(host string) string {
	var b strings.Builder
	for _, c := range []byte(host) {
		switch {
		case c == '.' || c == '-' || digit(c) || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			b.WriteByte(c)
		default:
			b.Write([]byte{'\\', '0' + c/100, '0' + c/10%10, '0' + c%10})
		}
	}
	return b.String()
}
