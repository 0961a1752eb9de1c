package escl

import (
	"bytes"
	"encoding/xml"
)

// XML is the document ScanImageInfo.
func (i *ImageInfo) XML() []byte {
	return document("scan:ScanImageInfo", func(w *writer) {
		w.text("pwg:JobUri", i.JobURI)
		w.maybe("pwg:JobUuid", i.JobUUID)
		w.number("scan:ActualWidth", i.Width)
		w.number("scan:ActualHeight", i.Height)
		w.number("scan:ActualBytesPerLine", i.BytesPerLine)
	})
}

// XML is the document ScanBufferInfo.
func (i *BufferInfo) XML() []byte {
	return document("scan:ScanBufferInfo", func(w *writer) {
		w.in("scan:ScanSettings", "", func() { i.Settings.write(w) })
		w.number("scan:ImageWidth", i.Width)
		w.number("scan:ImageHeight", i.Height)
		w.number("scan:BytesPerLine", i.BytesPerLine)
	})
}

// XML is what NAPS2 reads after a failed scan: an exception of its own, in no namespace.
func (e *ErrorDetails) XML() []byte {
	name := e.Name
	if name == "" {
		name = DeviceError // NAPS2 passes over a message without a name
	}
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><Error><Type>NAPS2.Scan.Exceptions.`)
	xml.EscapeText(&b, []byte(name))
	b.WriteString("</Type><Message>")
	xml.EscapeText(&b, []byte(e.Message))
	b.WriteString("</Message><StackTrace></StackTrace></Error>")
	return b.Bytes()
}
