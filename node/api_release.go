package node

import (
	"context"
	"net/http"
	"strings"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// releaseJob lets a held job begin: for its owner who stands at the scanner, or for an
// operator.
func (n *Node) releaseJob(w http.ResponseWriter, r *http.Request) error {
	var release api.Release
	if err := access.ReadJSON(r, &release); err != nil {
		return err
	}
	operator := access.CallerOf(r.Context()).May(api.RoleOperator)
	return n.command(w, r, scan.Use, func(d *device, t *ticket) error {
		if operator {
			return d.releaseHeld(t, nil)
		}
		return d.releaseHeld(t, func() bool { return same(d.settings.Presence, release.Presence) })
	})
}

// releaseAtScanner lets the job begin whose code somebody types at the scanner. It says
// nothing of the job.
func (n *Node) releaseAtScanner(w http.ResponseWriter, r *http.Request) error {
	d, err := n.scannerOf(r)
	if err != nil {
		return err
	}
	var release api.ReleaseAtScanner
	if err := access.ReadJSON(r, &release); err != nil {
		return err
	}
	if len(release.Code) != 6 || strings.Trim(release.Code, "0123456789") != "" {
		return problem.New(problem.BadRequest, "A code has six digits.").At("code")
	}
	var job string
	if doErr := d.do(context.WithoutCancel(r.Context()), func() { job, err = d.releaseByCode(release.Code) }); doErr != nil {
		return doErr
	}
	if err != nil {
		return err
	}
	access.Note(r.Context(), job, "by code at "+d.id)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// getSticker and renewSticker answer with what the QR code at a scanner says.

func (n *Node) getSticker(w http.ResponseWriter, r *http.Request) error {
	d, err := n.scannerOf(r)
	if err != nil {
		return err
	}
	var presence string
	if err := d.do(r.Context(), func() { presence = d.settings.Presence }); err != nil {
		return err
	}
	return writeSticker(w, d.id, presence)
}

func (n *Node) renewSticker(w http.ResponseWriter, r *http.Request) error {
	d, err := n.scannerOf(r)
	if err != nil {
		return err
	}
	got, err := d.configure(context.WithoutCancel(r.Context()), func(s *pagestore.ScannerSettings) { s.Presence = pagestore.NewPresence() })
	if err != nil {
		return err
	}
	return writeSticker(w, d.id, got.Presence)
}

// writeSticker puts the secret into a fragment, which browsers send nowhere.
func writeSticker(w http.ResponseWriter, scanner, presence string) error {
	return access.WriteJSON(w, http.StatusOK, api.Sticker{Presence: presence, Path: "/scanners/" + scanner + "#at=" + presence})
}
