package sharing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

// pairKey holds the first of a scanner's two ports, in decimal digits. It is never
// deleted: what people typed into their computers stays right when the scanner comes back.
const pairKey = "escl.port."

// keepPair is how long that is.
const keepPair = 100 * 365 * 24 * time.Hour

// maxPairs is how many scanners can be shared by one node in its life.
const maxPairs = 256

// openPair opens the two ports of a scanner: those that it had before, else the next
// two that nobody ever had.
func (s *Sharing) openPair(ctx context.Context, scanner string) (plain, secure net.Listener, err error) {
	if s.FirstPort == 0 {
		return s.openAt(0)
	}
	given, err := s.pairs(ctx)
	if err != nil {
		return nil, nil, err
	}
	for owned, port := range given {
		if owned == scanner {
			return s.openAt(port)
		}
	}
	taken := map[int]bool{}
	for _, port := range given {
		taken[port] = true
	}
	for port := s.FirstPort; port < s.FirstPort+2*maxPairs; port += 2 {
		if taken[port] || taken[port-1] || taken[port+1] { // or half of a pair that began elsewhere
			continue
		}
		if plain, secure, err = s.openAt(port); err != nil {
			continue // another program's
		}
		if _, err = s.Records.Create(ctx, pairKey+scanner, []byte(strconv.Itoa(port)), time.Now().Add(keepPair)); err != nil {
			plain.Close()
			secure.Close()
			return nil, nil, fmt.Errorf("remembering the ports of a shared scanner: %w", err)
		}
		return plain, secure, nil
	}
	return nil, nil, errors.Join(errors.New("no two ports are free for a shared scanner"), err)
}

// pairs are the ports of all scanners that were ever shared.
func (s *Sharing) pairs(ctx context.Context) (map[string]int, error) {
	given := map[string]int{}
	err := s.Records.List(ctx, pairKey, func(key string, value []byte) error {
		port, err := strconv.Atoi(string(value))
		if err == nil {
			given[strings.TrimPrefix(key, pairKey)] = port
		}
		return err
	})
	if err != nil && !errors.Is(err, access.ErrNoRecord) {
		return nil, fmt.Errorf("reading the ports of shared scanners: %w", err)
	}
	return given, nil
}

// openAt opens a port and the one after it; 0 takes any two.
func (s *Sharing) openAt(port int) (plain, secure net.Listener, err error) {
	if plain, err = s.Listen(net.JoinHostPort(s.address(), strconv.Itoa(port))); err != nil {
		return nil, nil, err
	}
	if port != 0 {
		port++
	}
	if secure, err = s.Listen(net.JoinHostPort(s.address(), strconv.Itoa(port))); err != nil {
		plain.Close()
		return nil, nil, err
	}
	return plain, secure, nil
}
