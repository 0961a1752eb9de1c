package airscan

import (
	"errors"

	"github.com/platen-scan/platen/proto/problem"
)

// problemOf is the problem in err, nil for an error on the way.
func problemOf(err error) *problem.Error {
	var p *problem.Error
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// final reports whether asking again would not help: the scanner or job is not there for
// us, or never was.
func final(err error) bool {
	p := problemOf(err)
	return p != nil && !p.Code.Retryable() && p.Code != problem.Internal && p.Code != problem.EventsGone
}
