package h3link

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// maxInterim is how many interim answers (1xx) may come before an answer.
const maxInterim = 5

var errInterim = errors.New("too many interim answers")

// asker sends requests over a connection. http3 has a goroutine for each request, until
// its answer's end, to hear that it is canceled: for an event stream that is as long as
// the link stands. Requests without a body, which are nearly all, need none.
type asker struct{ *http3.RawClientConn }

func (a asker) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		return a.RawClientConn.RoundTrip(r)
	}
	stream, err := a.OpenRequestStream(r.Context())
	if err != nil {
		return nil, err
	}
	forget := context.AfterFunc(r.Context(), func() {
		stream.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
	})
	answer, err := send(stream, r)
	if err != nil {
		forget()
		stream.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestCanceled))
		return nil, err
	}
	answer.Request = r
	answer.Body = &answerBody{answer.Body, forget}
	return answer, nil
}

// send sends a request that ends with its header, and reads the header of the answer.
func send(stream *http3.RequestStream, r *http.Request) (*http.Response, error) {
	if err := stream.SendRequestHeader(r); err != nil {
		return nil, err
	}
	stream.Close() // fails when the node has answered and wants no more
	for range maxInterim {
		answer, err := stream.ReadResponse()
		if err != nil || answer.StatusCode >= http.StatusOK {
			return answer, err
		}
	}
	return nil, errInterim
}

// answerBody no longer needs to hear that its request is canceled once it has ended.
type answerBody struct {
	io.ReadCloser
	forget func() bool
}

func (b *answerBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.forget()
	}
	return n, err
}

func (b *answerBody) Close() error {
	b.forget()
	return b.ReadCloser.Close()
}
