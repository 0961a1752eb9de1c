package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// output is where the pages of a scan go.
type output struct {
	name     string                             // as the user wrote it; with pattern, a format for one number
	ext      string                             // with the dot
	pattern  bool                               // a file a page
	document api.GetDocumentContentParamsFormat // all pages in one file; "" for a file of one page
	format   scan.Format                        // of single pages
}

var numberVerb = regexp.MustCompile(`%0?[0-9]{0,2}d`)

func parseOutput(name string) (output, error) {
	o := output{name: name, ext: filepath.Ext(name)}
	o.pattern = numberVerb.MatchString(name)
	if strings.Count(name, "%") > 1 || (strings.Contains(name, "%") && !o.pattern) {
		return o, fmt.Errorf("%w: -o takes one number like %%03d", errUsage)
	}
	switch strings.ToLower(o.ext) {
	case ".pdf":
		o.document = "pdf"
		if o.pattern {
			return o, fmt.Errorf("%w: a PDF holds all pages; leave %%d away", errUsage)
		}
	case ".jpg", ".jpeg":
		o.format = scan.FormatJPEG
	case ".png":
		o.format = scan.FormatPNG
	case ".tif", ".tiff":
		o.format = scan.FormatTIFF
		if !o.pattern {
			o.document = "tiff"
		}
	case ".pnm", ".pbm", ".pgm", ".ppm":
		o.format = scan.FormatPNM
	default:
		return o, fmt.Errorf("%w: cannot tell a format from %q; end it with .pdf, .jpg, .png, .tiff or .pnm", errUsage, name)
	}
	return o, nil
}

// master is the format in which pages are to be stored so that nothing is lost on
// the way to the output; "" leaves it to the node.
func (o output) master() scan.Format {
	switch o.format {
	case scan.FormatPNG, scan.FormatTIFF, scan.FormatPNM:
		return scan.FormatPNG
	case scan.FormatJPEG:
		return scan.FormatJPEG
	}
	return ""
}

// manyPages reports whether the output can hold more than one page.
func (o output) manyPages() bool { return o.pattern || o.document != "" }

// fileOf names the file of page n.
func (o output) fileOf(n int) string {
	if o.pattern {
		return fmt.Sprintf(o.name, n)
	}
	return o.name
}

// savePage fetches one committed page into its file.
func (o output) savePage(ctx context.Context, c *client, by *opener, p scan.Page) error {
	return save(o.fileOf(p.N), func(w io.Writer) error {
		return fetch(w, by, askedPage(p, o.format))(c.GetPage(ctx, p.Job, p.N, &api.GetPageParams{Format: &o.format}))
	})
}

// saveDocument fetches all pages as one file.
func (o output) saveDocument(ctx context.Context, c *client, by *opener, document string) error {
	return save(o.name, func(w io.Writer) error {
		return fetch(w, by, askedDocument(document, o.document))(c.GetDocumentContent(ctx, document, &api.GetDocumentContentParams{Format: &o.document}))
	})
}

// fetch writes the body of an answer, opened where it is sealed.
func fetch(w io.Writer, by *opener, want asked) func(*http.Response, error) error {
	return func(res *http.Response, err error) error {
		if err := api.Accept(res, err); err != nil {
			return err
		}
		defer res.Body.Close()
		body, err := by.open(res, want)
		if err == nil {
			_, err = io.Copy(w, body)
		}
		return err
	}
}

// writable reports why no file can be made where the output goes.
func (o output) writable() error {
	f, err := os.CreateTemp(filepath.Dir(o.name), ".platen-*")
	if err != nil {
		return fmt.Errorf("cannot write to the folder of %s: %w", o.name, cause(err))
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// cause is an error of the file system without the name of a file that nobody asked for.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// save writes a file whole or not at all: beside its name first, then renamed.
func save(name string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".platen-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if err := errors.Join(write(f), f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("saving %s: %w", name, err)
	}
	return os.Rename(f.Name(), name)
}
