//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/escl"
)

// esclClient is a program on a host that speaks eSCL by hand. Its methods may be called
// from any goroutine.
type esclClient struct {
	root string // of the scanner
	http *http.Client
}

func newESCLClient(t testing.TB, on *testenv.Host, addr string, port int) *esclClient {
	t.Helper()
	transport := &http.Transport{DialContext: on.Dial}
	t.Cleanup(transport.CloseIdleConnections)
	return &esclClient{fmt.Sprintf("http://%s:%d/eSCL", addr, port), &http.Client{Transport: transport, Timeout: time.Minute}}
}

// ready waits until the scanner tells what it can do.
func (c *esclClient) ready(t testing.TB) *escl.Capabilities {
	t.Helper()
	var caps *escl.Capabilities
	testenv.Eventually(t, c.root+" answers", testenv.StartTimeout, func() bool {
		res, body, err := c.send(http.MethodGet, c.root+"/ScannerCapabilities", nil, nil)
		if err != nil || res.StatusCode != http.StatusOK {
			return false
		}
		if caps, err = escl.ParseCapabilities(body); err != nil {
			t.Fatal(err)
		}
		return true
	})
	return caps
}

func (c *esclClient) send(method, url string, header http.Header, body []byte) (*http.Response, []byte, error) {
	r, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	if header != nil {
		r.Header = header
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	res, err := c.http.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res, answer, err
}

// post asks for a job once.
func (c *esclClient) post(s escl.Settings) (*http.Response, error) {
	res, _, err := c.send(http.MethodPost, c.root+"/ScanJobs", nil, s.XML())
	return res, err
}

// patient repeats a request that is told to come again, when it is told to.
func patient(request func() (*http.Response, error)) (*http.Response, error) {
	for range 60 {
		res, err := request()
		if err != nil || res.StatusCode != http.StatusServiceUnavailable {
			return res, err
		}
		after, err := strconv.Atoi(res.Header.Get("Retry-After"))
		if err != nil {
			return nil, fmt.Errorf("503 with Retry-After %q", res.Header.Get("Retry-After"))
		}
		time.Sleep(time.Duration(after) * time.Second)
	}
	return nil, errors.New("60 times 503")
}

// scan makes a job and returns its URL.
func (c *esclClient) scan(s escl.Settings) (job string, err error) {
	res, err := patient(func() (*http.Response, error) { return c.post(s) })
	if err != nil {
		return "", err
	}
	if job = res.Header.Get("Location"); res.StatusCode != http.StatusCreated || job == "" {
		return "", fmt.Errorf("POST ScanJobs: %s, Location %q", res.Status, job)
	}
	return job, nil
}

// next fetches the next page; nil: there is none.
func (c *esclClient) next(job string) (page []byte, err error) {
	res, err := patient(func() (res *http.Response, err error) {
		res, page, err = c.send(http.MethodGet, job+"/NextDocument", nil, nil)
		return res, err
	})
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusNotFound:
		return nil, nil
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("NextDocument: %s %s", res.Status, page)
	}
	return page, nil
}

// pages scans and fetches all that comes.
func (c *esclClient) pages(s escl.Settings) (pages [][]byte, job string, err error) {
	if job, err = c.scan(s); err != nil {
		return nil, "", err
	}
	for {
		page, err := c.next(job)
		if err != nil || page == nil {
			return pages, job, err
		}
		pages = append(pages, page)
	}
}

// delete says that the client is done with a job.
func (c *esclClient) delete(job string) error {
	res, _, err := c.send(http.MethodDelete, job, nil, nil)
	if err == nil && res.StatusCode != http.StatusOK {
		err = errors.New("DELETE: " + res.Status)
	}
	return err
}

func (c *esclClient) status(t testing.TB) *escl.Status {
	t.Helper()
	_, body, err := c.send(http.MethodGet, c.root+"/ScannerStatus", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	status, err := escl.ParseStatus(body)
	if err != nil {
		t.Fatal(err)
	}
	return status
}

// told is what the scanner's status says of a job; zero: nothing.
func (c *esclClient) told(t testing.TB, job string) escl.JobInfo {
	t.Helper()
	for _, j := range c.status(t).Jobs {
		if strings.HasSuffix(job, j.URI) {
			return j
		}
	}
	return escl.JobInfo{}
}

// begin takes the first bytes of the next page and breaks the connection.
func (c *esclClient) begin(job string, n int) ([]byte, error) {
	dial := c.http.Transport.(*http.Transport).DialContext
	var conn *net.TCPConn
	once := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		made, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		conn = made.(*net.TCPConn)
		return made, errors.Join(conn.SetReadBuffer(8<<10), conn.SetLinger(0)) // so that the page is not in buffers
	}}
	defer once.CloseIdleConnections()
	res, err := (&http.Client{Transport: once, Timeout: 30 * time.Second}).Get(job + "/NextDocument")
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	defer conn.Close()
	if res.StatusCode != http.StatusOK {
		return nil, errors.New("NextDocument: " + res.Status)
	}
	head := make([]byte, n)
	_, err = io.ReadFull(res.Body, head)
	return head, err
}
