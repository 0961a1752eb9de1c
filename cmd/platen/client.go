package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
)

// endpoint is how to reach a running service as somebody: what a service leaves in
// its data folder for commands on the same machine, and what a command keeps of a
// gateway that it was paired with.
type endpoint struct {
	URL   string `json:"url"`
	Token string `json:"token"`
	CA    string `json:"ca,omitempty"`    // pin of the CA that signed the service's certificate
	Setup string `json:"setup,omitempty"` // of its setup page on this machine, where there is one
}

// The files of endpoints, below keys/ in the data folder.
const (
	ownEndpointFile    = "local.json"
	pairedEndpointFile = "paired.json"
)

// client talks to a node or gateway by the HTTP API.
type client struct {
	*api.Client
	base string
	role api.ServiceRole // of what runs on the data folder; "": it was not asked
	http *http.Client
}

func newClient(e endpoint) (*client, error) {
	// Of a name's addresses some may be dead: each has its share of the dialer's time.
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: time.Minute}
	if e.CA != "" {
		transport.TLSClientConfig = identity.TrustCA(e.CA)
	}
	c := &client{base: strings.TrimSuffix(e.URL, "/"), http: &http.Client{Transport: transport}}
	var err error
	c.Client, err = api.NewClient(c.base+"/api/v1", api.WithHTTPClient(c.http),
		api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
			if e.Token != "" {
				r.Header.Set("Authorization", "Bearer "+e.Token)
			}
			return nil
		}))
	return c, err
}

func ownEndpoint(data string) string { return filepath.Join(data, "keys", ownEndpointFile) }

// everyPage reads a list to its end; list fetches one page of it.
func everyPage(list func(limit *int, cursor *string) (next string, err error)) error {
	const limit = 200 // the most that the API gives
	for cursor := (*string)(nil); ; {
		next, err := list(new(limit), cursor)
		if err != nil || next == "" {
			return err
		}
		cursor = &next
	}
}

// readEndpoint reads what a running service left in its data folder.
func readEndpoint(data string) (endpoint, error) {
	var e endpoint
	b, err := os.ReadFile(ownEndpoint(data))
	if err != nil {
		return e, err
	}
	return e, json.Unmarshal(b, &e)
}

// writeEndpoint leaves an endpoint for commands on this machine.
func writeEndpoint(data string, e endpoint) error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return identity.WriteSecret(ownEndpoint(data), b)
}

// connect finds the service that a command is for: the gateway that was named, else
// the service that runs on this data folder, else a node that is started just for
// this command. The close function ends what was started.
func (s *session) connect(gateway string) (c *client, closer func(), err error) {
	if gateway != "" {
		e, err := s.pairedEndpoint(gateway)
		if err != nil {
			return nil, nil, err
		}
		c, err := newClient(e)
		return c, func() {}, err
	}
	if c, err := s.running(); err == nil {
		return c, func() {}, nil
	} else if !errors.Is(err, errNotRunning) {
		return nil, nil, err
	}
	return s.startPrivateNode()
}

var errNotRunning = errors.New("nothing runs on the data folder")

// notRunning says where nothing runs, and what to do.
func (s *session) notRunning() error {
	return fmt.Errorf("%w %s: start platen, platen node or platen gateway first, or name the folder of the one that runs by --data", errNotRunning, s.data)
}

// running connects to the service that runs on the data folder.
func (s *session) running() (*client, error) {
	e, err := readEndpoint(s.data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, s.notRunning()
	}
	if err != nil {
		return nil, fmt.Errorf("reading how to reach the running service: %w", err)
	}
	c, err := newClient(e)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(s.ctx, 3*time.Second)
	defer cancel()
	service, err := api.Decode[api.Service](c.GetService(ctx))
	if err != nil {
		return nil, fmt.Errorf("%w (%v)", s.notRunning(), err)
	}
	if service.Role == "" { // it does not know the token: another service has the port now
		return nil, s.notRunning()
	}
	c.role = service.Role
	return c, nil
}

// runningGateway is the gateway that runs on the data folder.
func (s *session) runningGateway() (*client, error) {
	c, err := s.running()
	if err == nil && c.role != api.ServiceRoleGateway {
		return nil, fmt.Errorf("what runs on the data folder %s is no gateway: name the gateway's folder by --data", s.data)
	}
	return c, err
}

// pairedEndpoint finds the credentials for a gateway, or redeems the pairing link
// that was given in its place and keeps them.
func (s *session) pairedEndpoint(gateway string) (endpoint, error) {
	u, err := url.Parse(gateway)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return endpoint{}, fmt.Errorf("%w: --gateway takes an address like https://gateway:18603, or a pairing link", errUsage)
	}
	paired, err := s.readPaired()
	if err != nil {
		return endpoint{}, err
	}
	base := u.Scheme + "://" + u.Host
	fragment, err := url.ParseQuery(u.Fragment)
	if err != nil || fragment.Get("pair") == "" {
		if e, ok := paired[base]; ok {
			return e, nil
		}
		return endpoint{}, fmt.Errorf("not signed in at %s: run platen login there, or platen pair on the gateway's machine and give the link it prints as --gateway once", base)
	}
	e := endpoint{URL: base, CA: fragment.Get("ca")}
	c, err := newClient(e)
	if err != nil {
		return e, err
	}
	host, _ := os.Hostname()
	got, err := api.Decode[api.Session](c.CreateSession(s.ctx, api.SessionRequest{
		Secret: fragment.Get("pair"), Device: "platen on " + host, Bearer: true,
	}))
	if err != nil {
		return e, err
	}
	e.Token = got.Token
	return e, s.keepPaired(e)
}

func (s *session) pairedFile() string { return filepath.Join(s.keys(), pairedEndpointFile) }

// readPaired reads the gateways that this user's commands are signed in at, by address.
func (s *session) readPaired() (map[string]endpoint, error) {
	paired := map[string]endpoint{}
	b, err := os.ReadFile(s.pairedFile())
	if errors.Is(err, fs.ErrNotExist) {
		return paired, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &paired)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", s.pairedFile(), err)
	}
	return paired, nil
}

func (s *session) keepPaired(e endpoint) error {
	paired, err := s.readPaired()
	if err != nil {
		return err
	}
	paired[e.URL] = e
	b, err := json.Marshal(paired)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.keys(), 0o700); err != nil {
		return err
	}
	return identity.WriteSecret(s.pairedFile(), b)
}
