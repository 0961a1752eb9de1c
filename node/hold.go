package node

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// A scanner that several people share can hold jobs: each waits until its owner stands
// at the scanner, so that nobody's paper goes to somebody else. The owner shows that by
// the secret of the sticker there, or types the job's code at a kiosk beside it. A held
// job has no place in the queue, and its pages go to its owner whoever released it.

const (
	releaseCodes  = 1_000_000 // six digits
	wrongReleases = 5         // at one scanner within wrongWindow; then nobody may try
	wrongWindow   = time.Minute
)

// waitsForOwner reports whether the job is held until its owner stands at the scanner.
func waitsForOwner(j scan.Job) bool {
	return j.State == scan.JobHeld && slices.Contains(j.Reasons, scan.ReasonHeldForOwner)
}

// holdForOwner is the step by which a pending job comes to wait for its owner.
func holdForOwner(now time.Time) step {
	return step{event: scan.EventHold, why: scan.ReasonHeldForOwner, deadline: now.Add(scan.OwnerTimer)}
}

// hold makes an order one for a job that waits for its owner.
func (d *device) hold(order *pagestore.NewJob) {
	now := time.Now()
	order.ReleaseCode = d.newReleaseCode()
	order.Begin = func(j *scan.Job) error { return holdForOwner(now).apply(j, now) }
}

// newReleaseCode makes a code that no other job here has.
func (d *device) newReleaseCode() string {
	for {
		n, err := rand.Int(rand.Reader, big.NewInt(releaseCodes))
		if err != nil {
			panic(err) // crypto/rand never fails
		}
		code := fmt.Sprintf("%06d", n)
		has := func(t *ticket) bool { return t.code == code }
		taken := slices.ContainsFunc(d.queue, has)
		for _, t := range d.parked {
			taken = taken || has(t)
		}
		if !taken {
			return code
		}
	}
}

// forOwner counts the jobs that wait for their owners.
func (d *device) forOwner() (n int) {
	for _, t := range d.parked {
		if waitsForOwner(t.job) {
			n++
		}
	}
	return n
}

// releaseHeld lets a job begin whose owner stands at the scanner, as right says. Nobody
// asks right for an operator.
func (d *device) releaseHeld(t *ticket, right func() bool) error {
	if !waitsForOwner(t.job) {
		return problem.New(problem.JobWrongState, "The scan is %s and waits for nobody.", t.job.State)
	}
	if right != nil {
		if err := d.judgeRelease(right); err != nil {
			return err
		}
	}
	return d.unhold(t)
}

// releaseByCode lets the job begin that has the code, and returns its ID.
func (d *device) releaseByCode(code string) (job string, err error) {
	var found *ticket
	err = d.judgeRelease(func() bool {
		for _, t := range d.parked {
			if waitsForOwner(t.job) && same(t.code, code) {
				found = t
			}
		}
		return found != nil
	})
	if err != nil {
		return "", err
	}
	return found.job.ID, d.unhold(found)
}

// judgeRelease bounds the tries at a scanner: after so many wrong ones even the right
// one has to wait.
func (d *device) judgeRelease(right func() bool) error {
	now := time.Now()
	d.wrong = slices.DeleteFunc(d.wrong, func(at time.Time) bool { return now.Sub(at) >= wrongWindow })
	if len(d.wrong) >= wrongReleases {
		return problem.New(problem.TooManyRequests, "Too many wrong codes at this scanner.").After(wrongWindow - now.Sub(d.wrong[0]))
	}
	if !right() {
		d.wrong = append(d.wrong, now)
		return problem.ReleaseWrong.Error()
	}
	return nil
}

// same compares secrets in constant time; nothing is the same as no secret.
func same(secret, sent string) bool {
	return secret != "" && subtle.ConstantTimeCompare([]byte(secret), []byte(sent)) == 1
}

// configure changes what people decided about the scanner.
func (d *device) configure(ctx context.Context, change func(*pagestore.ScannerSettings)) (got pagestore.ScannerSettings, err error) {
	doErr := d.do(ctx, func() {
		write, cancel := context.WithTimeout(context.WithoutCancel(d.node.ctx), storeTimeout)
		defer cancel()
		if got, err = d.node.store.UpdateScanner(write, d.id, change); err == nil {
			d.settings = got
		}
	})
	if doErr != nil {
		return pagestore.ScannerSettings{}, doErr
	}
	return got, err
}

// learnSettings reads what people decided about the scanner. Without it the device
// must not be used: its jobs may have to wait for their owners.
func (d *device) learnSettings(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	got, err := d.node.store.Scanner(ctx, d.id)
	if err == nil {
		d.settings = got
	}
	return err
}
