package document

import (
	"archive/zip"
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// writeZIP stores the files with their checksums in front of them: some readers refuse
// stored entries whose lengths come only afterwards.
func writeZIP(ctx context.Context, w io.Writer, meta Meta, pages []Page) error {
	all, err := inspect(ctx, pages, func(f *found, r io.Reader) error {
		sum := crc32.NewIEEE()
		err := copyExactly(sum, r, f.size)
		f.crc = sum.Sum32()
		return err
	})
	if err != nil {
		return fmt.Errorf("writing a ZIP: %w", err)
	}
	z := zip.NewWriter(w)
	digits := max(len(strconv.Itoa(len(all))), 3)
	for i := range all {
		f := &all[i]
		header := &zip.FileHeader{
			Name:   fmt.Sprintf("page-%0*d%s", digits, i+1, suffixes[f.Format]),
			Method: zip.Store, CreatorVersion: zipVersion, ReaderVersion: zipVersion, CRC32: f.crc,
			CompressedSize64: uint64(f.size), UncompressedSize64: uint64(f.size),
		}
		//lint:ignore SA1019 CreateRaw writes these two fields and not Modified
		header.ModifiedDate, header.ModifiedTime = dosTime(meta.Created)
		entry, err := z.CreateRaw(header)
		if err == nil {
			err = f.copyFile(ctx, entry)
		}
		if err != nil {
			return fmt.Errorf("writing page %d of a ZIP: %w", i+1, err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("writing a ZIP: %w", err)
	}
	return nil
}

// zipVersion is what a reader must understand, 2.0 (APPNOTE.TXT, section 4.4.3).
const zipVersion = 20

// dosTime is a time in UTC as ZIP headers hold it, with the first possible for none.
func dosTime(t time.Time) (date, clock uint16) {
	t = t.UTC()
	if t.Year() < 1980 || t.Year() > 2107 {
		return 1<<5 | 1, 0
	}
	date = uint16(t.Year()-1980)<<9 | uint16(t.Month())<<5 | uint16(t.Day())
	return date, uint16(t.Hour())<<11 | uint16(t.Minute())<<5 | uint16(t.Second()/2)
}

var suffixes = map[scan.Format]string{scan.FormatJPEG: ".jpg", scan.FormatPNG: ".png"}
