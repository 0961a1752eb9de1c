package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

const (
	askTime          = 20 * time.Second // for one address
	maxGatewayAnswer = 64 << 10
)

// ask sends a request of the node's own to the gateway, at each of its addresses until
// one answers, and answers which one did. A problem that the gateway names is the error.
func (u *uplink) ask(ctx context.Context, g *joined, method, path string, body, out any) (address string, err error) {
	var tried []error
	for _, address := range g.Addresses {
		_, err := u.askAt(ctx, u.targetAt(g, address), askTime, method, path, body, out)
		var refused *problem.Error
		if err == nil || errors.As(err, &refused) || ctx.Err() != nil {
			return address, err
		}
		tried = append(tried, fmt.Errorf("%s: %w", address, err))
	}
	return "", errors.Join(tried...)
}

// askAt asks at one address, within a time, and reads a good answer into out, if there
// is one.
func (u *uplink) askAt(ctx context.Context, t relay.Target, within time.Duration, method, path string, body, out any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	client, err := u.client(t)
	if err != nil {
		return 0, err
	}
	defer client.CloseIdleConnections()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, fmt.Errorf("encoding a request to the gateway: %w", err)
		}
		content = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(ctx, method, "https://"+urlHost(t.Addr)+"/api/v1"+path, content)
	if err != nil {
		return 0, err
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	return readAnswer(answer, out)
}

// urlHost is an address as a URL has it: without the zone, which says something on this
// computer only. Where to dial is said by the target.
func urlHost(address string) string {
	if at, err := netip.ParseAddrPort(address); err == nil {
		return netip.AddrPortFrom(at.Addr().WithZone(""), at.Port()).String()
	}
	return address
}

// readAnswer reads what the gateway answered: a success into out, if there is one, else
// the problem that it names is the error. It closes the body.
func readAnswer(answer *http.Response, out any) (status int, err error) {
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxGatewayAnswer))
	if err != nil {
		return 0, fmt.Errorf("reading the gateway's answer: %w", err)
	}
	if answer.StatusCode/100 == 2 {
		if out == nil || len(said) == 0 {
			return answer.StatusCode, nil
		}
		if err := json.Unmarshal(said, out); err != nil {
			return 0, fmt.Errorf("decoding the gateway's answer: %w", err)
		}
		return answer.StatusCode, nil
	}
	var refused problem.Error
	if json.Unmarshal(said, &refused) == nil && refused.Code != "" {
		return 0, &refused
	}
	return 0, fmt.Errorf("the gateway answered with status %d", answer.StatusCode)
}
