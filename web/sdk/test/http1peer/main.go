// Command http1peer is net/http's side of the tests of the SDK's HTTP/1.1: it makes
// answers with a real server, and says what net/http makes of answers and requests. It
// speaks in lines of JSON.
//
//	http1peer answers <number> <seed>   answers of a server, with what they say
//	http1peer judge                     reads answers, says what net/http's client reads in them
//	http1peer requests                  reads requests, says what net/http's server reads in them
package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := bufio.NewWriter(stdout)
	err := errors.New("usage: http1peer answers <number> <seed> | judge | requests")
	switch {
	case len(args) == 3 && args[0] == "answers":
		err = answers(args[1], args[2], json.NewEncoder(out))
	case len(args) == 1 && args[0] == "judge":
		err = each(stdin, json.NewEncoder(out), judge)
	case len(args) == 1 && args[0] == "requests":
		err = each(stdin, json.NewEncoder(out), receive)
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		fmt.Fprintln(stderr, "http1peer:", err)
		return 1
	}
	return 0
}

// message is an HTTP message as bytes. Method is that of the request, also for answers.
type message struct {
	Raw    []byte `json:"raw"`
	Method string `json:"method"`
}

// reading is what net/http reads in a message.
type reading struct {
	message
	OK      bool              `json:"ok"`
	Status  int               `json:"status,omitempty"`
	Path    string            `json:"path,omitempty"`
	Host    string            `json:"host,omitempty"`
	Close   bool              `json:"close,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	Size    int               `json:"size"`
	Digest  string            `json:"digest"`
}

func each(in io.Reader, out *json.Encoder, read func(message) (reading, error)) error {
	for d := json.NewDecoder(in); ; {
		var m message
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		r, err := read(m)
		if err != nil {
			return err
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
}

// judge reads an answer as http.Transport does.
func judge(m message) (reading, error) {
	r := reading{message: message{Method: m.Method}}
	in := bufio.NewReader(bytes.NewReader(m.Raw))
	for range 6 {
		answer, err := http.ReadResponse(in, &http.Request{Method: m.Method})
		if err != nil {
			return r, nil
		}
		if answer.StatusCode/100 == 1 && answer.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		r.Status = answer.StatusCode
		r.take(answer.Header, answer.Body)
		return r, nil
	}
	return r, nil
}

func (r *reading) take(h http.Header, body io.Reader) {
	r.Headers = map[string]string{}
	for name, values := range h {
		r.Headers[strings.ToLower(name)] = latin1(strings.Join(values, ", "))
	}
	content, err := io.ReadAll(body)
	sum := sha256.Sum256(content)
	r.OK, r.Size, r.Digest = err == nil, len(content), hex.EncodeToString(sum[:])
}

// latin1 is how a browser shows the bytes of a field.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// receive gives a request to a server.
func receive(m message) (reading, error) {
	r := reading{message: message{Method: "none"}}
	_, err := serve(m.Raw, func(w http.ResponseWriter, q *http.Request) {
		r.Method, r.Path, r.Host, r.Close = q.Method, q.RequestURI, q.Host, q.Close
		r.take(q.Header, q.Body)
	})
	return r, err
}

// answers makes many, of all kinds that a server gives.
func answers(number, seed string, out *json.Encoder) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	s, err := strconv.ParseUint(seed, 10, 64)
	if err != nil {
		return err
	}
	rnd := rand.New(rand.NewPCG(s, 1))
	for range n {
		method := []string{"GET", "GET", "GET", "POST", "HEAD"}[rnd.IntN(5)]
		raw, err := serve([]byte(method+" / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"), handler(rnd))
		if err != nil {
			return err
		}
		r, err := judge(message{Raw: raw, Method: method})
		if err != nil {
			return err
		}
		r.Raw = raw
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

func handler(rnd *rand.Rand) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		for i := range rnd.IntN(6) {
			for range 1 + rnd.IntN(2) {
				h.Add(fmt.Sprintf("X-Field-%d", i), text(rnd))
			}
		}
		for range rnd.IntN(3) {
			w.WriteHeader([]int{http.StatusProcessing, http.StatusEarlyHints}[rnd.IntN(2)])
		}
		status := []int{200, 200, 200, 206, 204, 304, 205, 404, 416, 500, 299, 599}[rnd.IntN(12)]
		size := []int{0, 1, 10, 200, 3000, 70_000}[rnd.IntN(6)]
		if status == http.StatusResetContent {
			size = 0
		}
		body := make([]byte, size)
		for i := range body {
			body[i] = byte(rnd.Uint32())
		}
		stated, trailer := rnd.IntN(3) > 0, rnd.IntN(4) == 0
		if stated && status != 204 && status != 304 {
			h.Set("Content-Length", strconv.Itoa(size))
		} else if trailer {
			h.Set("Trailer", "X-Late")
		}
		w.WriteHeader(status)
		for len(body) > 0 {
			n := 1 + rnd.IntN(len(body))
			if _, err := w.Write(body[:n]); err != nil {
				return // the status has none
			}
			body = body[n:]
			if rnd.IntN(2) == 0 {
				http.NewResponseController(w).Flush()
			}
		}
		if trailer {
			h.Set("X-Late", text(rnd))
		}
	}
}

func text(rnd *rand.Rand) string {
	b := make([]byte, rnd.IntN(40))
	for i := range b {
		b[i] = byte(' ' + rnd.IntN(95))
		if rnd.IntN(20) == 0 {
			b[i] = byte(0xa1 + rnd.IntN(94))
		}
	}
	return string(b)
}

// serve has a real server answer the request, and records its bytes.
func serve(request []byte, h http.HandlerFunc) ([]byte, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	raw, err := talk(listener.Addr(), request)
	err = errors.Join(err, server.Shutdown(context.Background()))
	<-done
	return raw, err
}

func talk(address net.Addr, request []byte) ([]byte, error) {
	conn, err := net.Dial(address.Network(), address.String())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write(request); err != nil {
		return nil, err
	}
	return io.ReadAll(conn)
}
