package front

import (
	"net"
	"net/http"
	"runtime"
	"strconv"
)

const (
	alpnHTTP3 = "h3"
	altSvcAge = "86400" // seconds for which a browser remembers it
)

// tellHTTP3 tells browsers that came over TCP that there is HTTP/3, at the same host and
// the port by which they came (RFC 7838). That is the public one, which a router may
// forward from: the gateway's own port says nothing of it. Where only TCP is forwarded
// the browser finds nobody and stays with what it has.
//
// What came through a proxy is told nothing: the proxy answers at that address.
func tellHTTP3(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if port := publicPort(r); port != "" {
			w.Header().Set("Alt-Svc", alpnHTTP3+`=":`+port+`"; ma=`+altSvcAge)
		}
		h.ServeHTTP(w, r)
	})
}

// publicPort is the port of the address that the browser shows; "": it is not known.
func publicPort(r *http.Request) string {
	for _, name := range []string{"Via", "Forwarded", "X-Forwarded-For", "X-Forwarded-Host"} {
		if _, ok := r.Header[name]; ok {
			return ""
		}
	}
	if r.Host == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		return "443" // none is in it: the scheme's
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
		return ""
	}
	return port
}

// seesArrival reports whether quic-go learns of each packet at which of the machine's
// addresses it arrived. The guard judges the Host by that; without it there is no
// HTTP/3, and browsers stay with TCP.
func seesArrival(socket net.Addr) bool {
	if udp, ok := socket.(*net.UDPAddr); ok && !udp.IP.IsUnspecified() {
		return true
	}
	switch runtime.GOOS {
	case "linux", "darwin", "freebsd":
		return true
	}
	return false
}
