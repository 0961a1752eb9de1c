package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// growingPage is a node whose device has begun a page and does with it what the test says.
type growingPage struct {
	*live
	job  scan.Job
	url  string
	do   chan func(driver.PageSink) error
	info driver.PageInfo
}

// growOne starts a page. The bubble's time stands still until the test lets it pass.
func growOne(t *testing.T, info driver.PageInfo) *growingPage {
	t.Helper()
	return growFor(t, info, request(scan.SourceADF, 0))
}

// growFor starts the page of a job.
func growFor(t *testing.T, info driver.PageInfo, job string) *growingPage {
	t.Helper()
	p := &growingPage{do: make(chan func(driver.PageSink) error), info: info}
	g, _, scanner := oneDevice(t, func(b *fakeBatch) error {
		page, err := b.sink.PageStarted(info)
		if err != nil {
			return err
		}
		for {
			select {
			case f, ok := <-p.do:
				if !ok {
					return nil
				}
				if err := f(page); err != nil {
					return err
				}
			case <-b.ctx.Done():
				return context.Canceled
			}
		}
	})
	p.live = serveLive(g)
	p.job = g.submit(scanner, job)
	p.url = "/api/v1/jobs/" + p.job.ID + "/pages/1"
	synctest.Wait()
	return p
}

func (p *growingPage) write(b []byte) {
	p.do <- func(s driver.PageSink) error { _, err := s.Write(b); return err }
	synctest.Wait()
}

func (p *growingPage) commit() {
	p.do <- func(s driver.PageSink) error { return s.Commit(p.info.Height) }
	close(p.do)
	synctest.Wait()
}

func (p *growingPage) fail() {
	p.do <- func(s driver.PageSink) error { s.Abort(stop(scan.ReasonJam)); return stop(scan.ReasonJam) }
	synctest.Wait()
}

func readN(t *testing.T, r io.Reader, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	need(t, err)
	return b
}

// TestGrowingPage has its first bytes with the reader before the page is whole.
func TestGrowingPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := growOne(t, fakePage)
		defer p.stop()
		file := testJPEG(1)
		p.write(file[:100])
		answer := p.open(t.Context(), http.MethodGet, p.url)
		if answer.StatusCode != http.StatusOK || answer.ContentLength >= 0 || answer.Header.Get("Repr-Digest") != "" || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("status %d, length %d, headers %v", answer.StatusCode, answer.ContentLength, answer.Header)
		}
		got := readN(t, answer.Body, 100)
		p.write(file[100:300])
		got = append(got, readN(t, answer.Body, 200)...)
		time.Sleep(time.Hour) // a device may take its time
		p.write(file[300:])
		p.commit()
		rest, err := io.ReadAll(answer.Body)
		need(t, err)
		if got = append(got, rest...); !bytes.Equal(got, file) {
			t.Errorf("%d bytes came, want the %d of the page", len(got), len(file))
		}
		whole := p.ask(http.MethodGet, p.url, "")
		if whole.Header().Get("ETag") != answer.Header.Get("ETag") {
			t.Errorf("ETag was %s while it grew and is %s", answer.Header.Get("ETag"), whole.Header().Get("ETag"))
		}
	})
}

func TestGrowingPageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := growOne(t, fakePage)
		defer p.stop()
		p.write(testJPEG(1)[:100])
		answer := p.open(t.Context(), http.MethodGet, p.url)
		readN(t, answer.Body, 100)
		p.fail()
		if rest, err := io.ReadAll(answer.Body); err == nil {
			t.Errorf("the stream of a page that failed ended well, after %d more bytes", len(rest))
		}
		p.ask(http.MethodGet, p.url, "").wants(t, problem.NotFound, "")
	})
}

func TestGrowingRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := growOne(t, fakePage)
		defer p.stop()
		file := testJPEG(1)
		p.write(file[:100])
		part := func(from string, header ...string) answer {
			return p.ask(http.MethodGet, p.url, "", append([]string{"Range", "bytes=" + from}, header...)...)
		}
		wantPart := func(a answer, from, to int) {
			t.Helper()
			if a.Code != http.StatusPartialContent || a.Header().Get("Content-Range") != fmt.Sprintf("bytes %d-%d/*", from, to-1) ||
				a.Header().Get("Content-Length") != fmt.Sprint(to-from) || !bytes.Equal(a.Body.Bytes(), file[from:to]) {
				t.Errorf("status %d, Content-Range %q, %d bytes; want bytes %d-%d/*", a.Code, a.Header().Get("Content-Range"), a.Body.Len(), from, to-1)
			}
		}
		etag := part("0-").Header().Get("ETag")
		wantPart(part("0-"), 0, 100)
		wantPart(part("40-"), 40, 100)
		wantPart(part("40-59"), 40, 60)
		wantPart(part("40-900"), 40, 100)
		wantPart(part("40-9223372036854775807"), 40, 100)
		wantPart(part("40-", "If-Range", etag), 40, 100)

		// Not there yet: held until it is.
		held := make(chan answer)
		began := time.Now()
		go func() { held <- part("100-") }()
		time.Sleep(9 * time.Second)
		p.write(file[100:150])
		wantPart(<-held, 100, 150)
		if took := time.Since(began); took != 9*time.Second {
			t.Errorf("held for %v, want 9 s", took)
		}
		began = time.Now()
		a := part("150-")
		a.wants(t, problem.PageNotReady, "")
		if took := time.Since(began); took != holdTime || a.Header().Get("Retry-After") == "" {
			t.Errorf("nothing came after %v, Retry-After %q; want %v and a time", took, a.Header().Get("Retry-After"), holdTime)
		}

		// Of another attempt at the page, or of a form that cannot be: the whole stream.
		for _, header := range [][]string{{"If-Range", `"other"`}, {"Range", "bytes=-5"}, {"Range", "lines=1-"}, {"Range", "bytes=5-2"}, {"Range", "bytes=0-1,4-5"}} {
			ctx, cancel := context.WithCancel(t.Context())
			answer := p.open(ctx, http.MethodGet, p.url, append([]string{"Range", "bytes=10-"}, header...)...)
			if answer.StatusCode != http.StatusOK {
				t.Errorf("%v: status %d, want the whole page as a stream", header, answer.StatusCode)
			}
			readN(t, answer.Body, 150)
			cancel()
			answer.Body.Close()
		}

		// Held until the page is whole: then its length is known.
		go func() { held <- part("150-") }()
		synctest.Wait()
		p.write(file[150:])
		wantPart(<-held, 150, len(file))
		go func() { held <- part(fmt.Sprintf("%d-", len(file))) }()
		synctest.Wait()
		p.commit()
		a = <-held
		a.wants(t, problem.RangeNotSatisfiable, "")
		if got, want := a.Header().Get("Content-Range"), fmt.Sprintf("bytes */%d", len(file)); got != want {
			t.Errorf("Content-Range = %q, want %q", got, want)
		}
	})
}

// TestResume follows a page over connections that break all the time.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := growOne(t, fakePage)
		defer p.stop()
		file := testJPEG(1)
		done := make(chan []byte)
		go func() {
			var got []byte
			for {
				a := p.ask(http.MethodGet, p.url, "", "Range", fmt.Sprintf("bytes=%d-", len(got)))
				if a.Code == http.StatusRequestedRangeNotSatisfiable {
					done <- got
					return
				}
				body := a.Body.Bytes()
				if a.Code == http.StatusPartialContent {
					got = append(got, body[:max(len(body)/2, 1)]...) // the connection broke in the middle
				}
			}
		}()
		for from := 0; from < len(file); from += 97 {
			p.write(file[from:min(from+97, len(file))])
			time.Sleep(50 * time.Millisecond)
		}
		p.commit()
		got := <-done
		page := get[api.PageList](p.rig, "/api/v1/jobs/"+p.job.ID+"/pages").Items[0]
		if sum := sha256.Sum256(got); hex.EncodeToString(sum[:]) != page.Digest {
			t.Errorf("%d bytes with another digest than the page's %d bytes", len(got), page.Bytes)
		}
	})
}

func TestUnknownHeightIsNotServedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		info := fakePage
		info.Height = 0
		p := growOne(t, info)
		defer p.stop()
		p.write(testJPEG(1))
		synctest.Wait()
		p.ask(http.MethodGet, p.url, "").wants(t, problem.PageNotReady, "")
		if list := get[api.PageList](p.rig, "/api/v1/jobs/"+p.job.ID+"/pages"); len(list.Items) != 1 || list.Items[0].Height != 0 {
			t.Errorf("pages = %+v, want one of unknown height", list.Items)
		}
		p.info.Height = 180
		patch := driver.Patch{Offset: 30, Data: []byte{1, 2, 3}}
		p.do <- func(s driver.PageSink) error { return s.Commit(180, patch) }
		close(p.do)
		synctest.Wait()
		want := bytes.Clone(testJPEG(1))
		copy(want[30:], patch.Data)
		a := p.ask(http.MethodGet, p.url, "")
		if !bytes.Equal(a.Body.Bytes(), want) {
			t.Error("the patch is not in the page")
		}
		checkDigest(t, a)
	})
}

func checkDigest(t *testing.T, a answer) {
	t.Helper()
	sum := sha256.Sum256(a.Body.Bytes())
	if got, want := a.Header().Get("Repr-Digest"), "sha-256=:"+base64.StdEncoding.EncodeToString(sum[:])+":"; got != want {
		t.Errorf("Repr-Digest = %s, want %s", got, want)
	}
}

// TestStalledReader takes nothing for ten seconds and is cut off; a slow one is not.
func TestStalledReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := growOne(t, fakePage)
		defer p.stop()
		p.write(testJPEG(1)[:200])
		stalled := p.open(t.Context(), http.MethodGet, p.url)
		slow := p.open(t.Context(), http.MethodGet, p.url)
		readN(t, slow.Body, 200)
		p.write(bytes.Repeat([]byte{1}, 32<<10))
		for range 8 {
			readN(t, slow.Body, 4<<10)
			time.Sleep(stallTime / 10)
		}
		time.Sleep(stallTime / 2)
		if _, err := io.Copy(io.Discard, stalled.Body); err == nil {
			t.Error("the stalled answer ended well, want a reset")
		}
		p.write(testJPEG(1)[:1])
		readN(t, slow.Body, 1)
		slow.Body.Close()
	})
}

func TestCommittedPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, then(1, nil))
		defer g.stop()
		body := `{"name":"../Rëchnung: \"A/B\"","settings":{"source":"platen","resolution":75}}`
		j := g.submit(scanner, body)
		synctest.Wait()
		file := testJPEG(1)
		url := "/api/v1/jobs/" + j.ID + "/pages/1"
		a := g.ask(http.MethodGet, url, "")
		if a.Code != http.StatusOK || !bytes.Equal(a.Body.Bytes(), file) || a.Header().Get("Content-Type") != "image/jpeg" {
			t.Fatalf("status %d, %d bytes of %q", a.Code, a.Body.Len(), a.Header().Get("Content-Type"))
		}
		checkDigest(t, a)
		etag := a.Header().Get("ETag")
		if !strings.HasPrefix(etag, `"`) || a.Header().Get("Cache-Control") != "private, max-age=86400, immutable" || a.Header().Get("Accept-Ranges") != "bytes" {
			t.Errorf("headers = %v", a.Header())
		}
		if a.Header().Get("Content-Disposition") != "" {
			t.Error("a page to look at is offered for saving")
		}
		n := len(file)
		for _, c := range []struct {
			method string
			header []string
			status int
			crange string
			body   []byte
		}{
			{http.MethodHead, nil, 200, "", nil},
			{http.MethodGet, []string{"If-None-Match", etag}, 304, "", nil},
			{http.MethodGet, []string{"If-None-Match", `"x", ` + etag}, 304, "", nil},
			{http.MethodGet, []string{"If-None-Match", `"x"`}, 200, "", file},
			{http.MethodGet, []string{"Range", "bytes=10-19"}, 206, fmt.Sprintf("bytes 10-19/%d", n), file[10:20]},
			{http.MethodGet, []string{"Range", "bytes=10-"}, 206, fmt.Sprintf("bytes 10-%d/%d", n-1, n), file[10:]},
			{http.MethodGet, []string{"Range", "bytes=-5"}, 206, fmt.Sprintf("bytes %d-%d/%d", n-5, n-1, n), file[n-5:]},
			{http.MethodGet, []string{"Range", "bytes=10-", "If-Range", etag}, 206, fmt.Sprintf("bytes 10-%d/%d", n-1, n), file[10:]},
			{http.MethodGet, []string{"Range", "bytes=10-", "If-Range", `"x"`}, 200, "", file},
			{http.MethodGet, []string{"Range", "bytes=10-9223372036854775807"}, 206, fmt.Sprintf("bytes 10-%d/%d", n-1, n), file[10:]},
			{http.MethodGet, []string{"Range", "bytes=0-9,"}, 206, fmt.Sprintf("bytes 0-9/%d", n), file[:10]}, // as a gateway asks for a beginning
			{http.MethodGet, []string{"Range", "bytes=0-1,4-5"}, 200, "", file},                               // of several ranges none is answered
			{http.MethodGet, []string{"Range", "lines=1-2"}, 200, "", file},
		} {
			a := g.ask(c.method, url, "", c.header...)
			if a.Code != c.status || a.Header().Get("Content-Range") != c.crange || !bytes.Equal(a.Body.Bytes(), c.body) || a.Header().Get("ETag") != etag {
				t.Errorf("%s %v: status %d, Content-Range %q, %d bytes, ETag %s; want %d, %q, %d bytes",
					c.method, c.header, a.Code, a.Header().Get("Content-Range"), a.Body.Len(), a.Header().Get("ETag"), c.status, c.crange, len(c.body))
			}
		}
		a = g.ask(http.MethodGet, url+"?download=true", "", "Range", "bytes=99999999-")
		a.wants(t, problem.RangeNotSatisfiable, "")
		if a.Header().Get("Content-Disposition") != "" || a.Header().Get("Repr-Digest") != "" {
			t.Errorf("a problem is sent as a page: %v", a.Header())
		}
		a = g.ask(http.MethodGet, url+"?download=true", "")
		if got, want := a.Header().Get("Content-Disposition"), "attachment; filename*=utf-8''R%C3%ABchnung%20A%20B%201.jpg"; got != want {
			t.Errorf("Content-Disposition = %s, want %s", got, want)
		}
	})
}

func TestRenditions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, then(1, nil))
		defer g.stop()
		j := g.submit(scanner, request(scan.SourcePlaten, 0))
		synctest.Wait()
		url := "/api/v1/jobs/" + j.ID + "/pages/1"
		etags := map[string]string{}
		for _, c := range []struct{ query, accept, kind string }{
			{"", "", "image/jpeg"},
			{"", "image/avif,image/webp,image/*,*/*;q=0.8", "image/jpeg"},
			{"", "image/png", "image/png"},
			{"", "image/png;q=0.2, image/jpeg;q=0.1", "image/png"},
			{"", "image/jpeg;q=0, image/*", "image/png"},
			{"?format=png", "image/jpeg", "image/png"},
			{"?format=tiff", "", "image/tiff"},
			{"?format=pnm", "", "image/x-portable-anymap"},
			{"?format=jpeg", "text/html", "image/jpeg"},
			{"?width=40", "", "image/jpeg"},
			{"?width=40&format=jpeg", "", "image/jpeg"},
			{"?width=4000", "", "image/jpeg"},
		} {
			var header []string
			if c.accept != "" {
				header = []string{"Accept", c.accept}
			}
			a := g.ask(http.MethodGet, url+c.query, "", header...)
			if a.Code != http.StatusOK || a.Header().Get("Content-Type") != c.kind {
				t.Errorf("%q, Accept %q: status %d, %q, want %q: %.200s", c.query, c.accept, a.Code, a.Header().Get("Content-Type"), c.kind, a.Body)
				continue
			}
			etags[c.query+c.accept] = a.Header().Get("ETag")
			if again := g.ask(http.MethodGet, url+c.query, "", append(header, "If-None-Match", a.Header().Get("ETag"))...); again.Code != http.StatusNotModified {
				t.Errorf("%q again: status %d, want 304", c.query, again.Code)
			}
			if strings.Contains(c.query, "width=40") && !strings.Contains(c.query, "4000") {
				if img, err := jpeg.Decode(a.Body); err != nil || img.Bounds().Dx() != 40 {
					t.Errorf("%q: %v, want 40 pixels", c.query, err)
				}
			} else if c.kind == "image/png" {
				if img, err := png.Decode(a.Body); err != nil || img.Bounds().Dx() != fakePage.Width {
					t.Errorf("%q: %v, want %d pixels", c.query, err, fakePage.Width)
				}
			}
		}
		if etags["?width=40"] == etags[""] || etags["?format=png"+"image/jpeg"] == etags[""] || etags["?width=4000"] != etags[""] {
			t.Errorf("ETags = %v: each form has its own", etags)
		}
		g.ask(http.MethodGet, url, "", "Accept", "text/html").wants(t, problem.FormatUnsupported, "")
		g.ask(http.MethodGet, url+"?format=bmp", "").wants(t, problem.FormatUnsupported, "format")
		g.ask(http.MethodGet, url+"?format=png&width=40", "").wants(t, problem.FormatUnsupported, "format")
		for _, q := range []string{"?width=15", "?width=4097", "?width=x", "?width="} {
			g.ask(http.MethodGet, url+q, "").wants(t, problem.BadRequest, "width")
		}
		g.ask(http.MethodGet, url+"?download=maybe", "").wants(t, problem.BadRequest, "download")
		g.ask(http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/2", "").wants(t, problem.NotFound, "")
	})
}

func TestRenditionOfGrowingPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := growOne(t, fakePage)
		defer p.stop()
		p.write(testJPEG(1)[:100])
		for _, q := range []string{"?width=40", "?format=png"} {
			p.ask(http.MethodGet, p.url+q, "").wants(t, problem.PageNotReady, "")
		}
		if a := p.ask(http.MethodHead, p.url, ""); a.Code != http.StatusOK || a.Header().Get("ETag") == "" {
			t.Errorf("HEAD of a growing page: status %d, %v", a.Code, a.Header())
		}
		page := get[api.PageList](p.rig, "/api/v1/jobs/"+p.job.ID+"/pages").Items[0]
		p.ask(http.MethodPost, p.url+"/ack", `{"digest":"`+strings.Repeat("a", 64)+`"}`).wants(t, problem.PageNotReady, "")
		if page.State != scan.PageGrowing || page.Bytes != 100 {
			t.Errorf("page = %+v, want 100 bytes, growing", page)
		}
	})
}

func TestAck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, then(1, nil))
		defer g.stop()
		j := g.submit(scanner, request(scan.SourcePlaten, 0))
		synctest.Wait()
		url := "/api/v1/jobs/" + j.ID + "/pages"
		page := get[api.PageList](g, url).Items[0]
		g.ask(http.MethodPost, url+"/1/ack", `{"digest":"`+strings.Repeat("a", 64)+`"}`).wants(t, problem.DigestMismatch, "")
		g.ask(http.MethodPost, url+"/1/ack", `{"digest":"short"}`).wants(t, problem.BadRequest, "digest")
		g.ask(http.MethodPost, url+"/2/ack", `{"digest":"`+page.Digest+`"}`).wants(t, problem.NotFound, "")
		for range 2 {
			if a := g.ask(http.MethodPost, url+"/1/ack", `{"digest":"`+page.Digest+`"}`); a.Code != http.StatusNoContent {
				t.Fatalf("ack: status %d, %s", a.Code, a.Body)
			}
		}
		if got := get[api.PageList](g, url).Items[0].State; got != scan.PageDelivered {
			t.Errorf("page is %s, want delivered", got)
		}
	})
}

func TestAttachment(t *testing.T) {
	for title, want := range map[string]string{
		"":                       "Scan.jpg",
		"  ":                     "Scan.jpg",
		" 3":                     `"Scan 3.jpg"`,
		"Invoice 7":              `"Invoice 7.jpg"`,
		"..":                     "Scan.jpg",
		"../../etc/passwd":       `"etc passwd.jpg"`,
		"a\r\nSet-Cookie: x=y":   `"a Set-Cookie x=y.jpg"`,
		`C:\CON|"<x>"?*`:         `"C CON x.jpg"`,
		"\u202egpj.exe":          "gpj.exe.jpg",
		strings.Repeat("x", 300): strings.Repeat("x", maxFileName) + ".jpg",
	} {
		if got := attachment(title, ".jpg"); got != "attachment; filename="+want {
			t.Errorf("attachment(%q) = %s, want %s", title, got, want)
		}
	}
}
