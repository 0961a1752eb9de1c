package document

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"io"
	"testing"
)

func TestZIPHoldsTheFiles(t *testing.T) {
	all := samplePages(t)
	var b bytes.Buffer
	if err := WriteZIP(t.Context(), &b, sampleMeta, pagesOf(all)); err != nil {
		t.Fatal(err)
	}
	z, err := zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	names := []string{"page-001.jpg", "page-002.jpg", "page-003.png", "page-004.png", "page-005.png", "page-006.png", "page-007.png"}
	if len(z.File) != len(names) {
		t.Fatalf("%d entries, want %d", len(z.File), len(names))
	}
	for i, f := range z.File {
		if f.Name != names[i] || f.Method != zip.Store {
			t.Errorf("entry %d = %q by method %d, want %q stored", i, f.Name, f.Method, names[i])
		}
		if got := f.Modified.UTC(); got.Unix()/2 != sampleMeta.Created.Unix()/2 {
			t.Errorf("%s is of %v, want %v", f.Name, got, sampleMeta.Created)
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r) // checks the checksum
		if err != nil || !bytes.Equal(got, all[i].file) {
			t.Errorf("%s: %d bytes, %v, want the stored %d", f.Name, len(got), err, len(all[i].file))
		}
	}
	// Readers that stream need lengths and checksums in front, without a descriptor behind.
	if flags := binary.LittleEndian.Uint16(b.Bytes()[6:]); flags&8 != 0 {
		t.Errorf("flags of the first entry = %#x, want no data descriptor", flags)
	}
	if crc := binary.LittleEndian.Uint32(b.Bytes()[14:]); crc != z.File[0].CRC32 || crc == 0 {
		t.Errorf("checksum in front of the first entry = %#x, want %#x", crc, z.File[0].CRC32)
	}
}
