package pagestore

import (
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

const hour = time.Hour

// h is so many hours after a page was committed; h(0) itself is not zero.
func h(hours float64) scan.Time {
	return scan.At(newClock().t.Add(time.Duration(hours * float64(hour)).Round(time.Second)))
}

func TestPageLife(t *testing.T) {
	tests := []struct {
		name string
		life pageLife
		want scan.Time
	}{
		{"job under way", pageLife{delivered: h(1), unplaced: h(1)}, scan.Time{}},
		{"in a document", pageLife{jobEnded: h(1), placed: true}, h(168)},
		{"in a document, acknowledged", pageLife{jobEnded: h(1), placed: true, delivered: h(2)}, h(168)},
		{"nobody fetched it", pageLife{jobEnded: h(1)}, h(168)},
		{"acknowledged early", pageLife{jobEnded: h(1), delivered: h(2)}, h(25)},
		{"acknowledged late", pageLife{jobEnded: h(1), delivered: h(50)}, h(50)},
		{"taken out early", pageLife{jobEnded: h(1), unplaced: h(2)}, h(25)},
		{"taken out late", pageLife{jobEnded: h(1), unplaced: h(50)}, h(50 + 1./6)},
		{"taken out, acknowledged", pageLife{jobEnded: h(1), unplaced: h(24.9), delivered: h(2)}, h(24.9 + 1./6)},
		{"taken out at the limit", pageLife{jobEnded: h(1), unplaced: h(167.9)}, h(168)},
		{"document deleted", pageLife{jobEnded: h(1), unplaced: h(2), discarded: true}, h(2 + 1./6)},
		{"long job, acknowledged", pageLife{jobEnded: h(160), delivered: h(2)}, h(168)},
		{"eSCL, job under way", pageLife{owner: "escl:192.0.2.1", placed: true, delivered: h(1), fetched: h(1)}, scan.Time{}},
		{"eSCL, not fetched", pageLife{owner: "escl:192.0.2.1", jobEnded: h(1), placed: true}, h(1 + 1./6)},
		{"eSCL, another page was fetched", pageLife{owner: "escl:192.0.2.1", jobEnded: h(1), placed: true, fetched: h(1.1)}, h(1.1 + 1./6)},
		{"eSCL, another page was fetched before the job's end", pageLife{owner: "escl:192.0.2.1", jobEnded: h(1), fetched: h(0.1)}, h(1 + 1./6)},
		{"eSCL, fetched", pageLife{owner: "escl:192.0.2.1", jobEnded: h(1), placed: true, delivered: h(2), fetched: h(2)}, h(2 + 1./30)},
		{"eSCL, canceled", pageLife{owner: "escl:192.0.2.1", jobEnded: h(1), placed: true, delivered: h(0.9), canceled: true}, h(1)},
		{"eSCL, long job", pageLife{owner: "escl:192.0.2.1", jobEnded: h(167.95), placed: true}, h(168)},
		{"canceled", pageLife{jobEnded: h(1), placed: true, canceled: true}, h(168)},
		{"another node's", pageLife{owner: "node:K7X2", jobEnded: h(1), placed: true}, h(168)},
		{"name like eSCL", pageLife{owner: "escl", jobEnded: h(1), placed: true, delivered: h(2)}, h(168)},
	}
	for _, tt := range tests {
		tt.life.committed = h(0)
		if got := tt.life.end(); !got.Equal(tt.want.Time) {
			t.Errorf("%s: end %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestDocumentLife(t *testing.T) {
	tests := []struct {
		name string
		life documentLife
		want scan.Time
	}{
		{"job under way", documentLife{updated: h(1), open: true, pages: true, youngest: h(1)}, scan.Time{}},
		{"empty", documentLife{updated: h(1)}, h(25)},
		{"empty, job ended later", documentLife{updated: h(1), ended: h(2)}, h(26)},
		{"undelivered", documentLife{updated: h(1), ended: h(1), youngest: h(1), pages: true, undelivered: true}, h(169)},
		{"delivered", documentLife{updated: h(1), ended: h(2), youngest: h(1), pages: true}, h(26)},
		{"delivered two days later", documentLife{updated: h(2), ended: h(2), delivered: h(50), youngest: h(1), pages: true}, h(74)},
		{"delivered, renamed", documentLife{updated: h(5), ended: h(2), youngest: h(1), pages: true}, h(29)},
		{"delivered, renamed at the limit", documentLife{updated: h(167), ended: h(2), youngest: h(1), pages: true}, h(169)},
	}
	for _, tt := range tests {
		if got := tt.life.end(); !got.Equal(tt.want.Time) {
			t.Errorf("%s: end %v, want %v", tt.name, got, tt.want)
		}
	}
}
