package escl

import (
	"reflect"
	"testing"
)

// roundTrip fuzzes a parser: what it takes from any text, it takes again from what is
// written of that.
func roundTrip[T any](f *testing.F, parse func([]byte) (*T, error), write func(*T) []byte) {
	f.Fuzz(func(t *testing.T, text []byte) {
		first, err := parse(text)
		if err != nil {
			return
		}
		xml := write(first)
		again, err := parse(xml)
		if err != nil {
			t.Fatalf("written as %s, which does not parse: %v", xml, err)
		}
		if !reflect.DeepEqual(first, again) {
			t.Fatalf("%+v became %+v by way of %s", first, again, xml)
		}
	})
}

func FuzzCapabilities(f *testing.F) {
	f.Add(office().XML())
	for _, tt := range capabilityTests {
		if len(tt.xml) < 4096 {
			f.Add([]byte(tt.xml))
		}
	}
	roundTrip(f, ParseCapabilities, (*Capabilities).XML)
}

func FuzzSettings(f *testing.F) {
	f.Add(everything().XML())
	for _, tt := range settingsTests {
		if len(tt.xml) < 4096 {
			f.Add([]byte(`<scan:ScanSettings` + xmlns + `>` + tt.xml + `</scan:ScanSettings>`))
		}
	}
	roundTrip(f, ParseSettings, (*Settings).XML)
}

func FuzzStatus(f *testing.F) {
	f.Add(busy().XML())
	for _, tt := range statusTests {
		f.Add([]byte(tt.xml))
	}
	roundTrip(f, ParseStatus, (*Status).XML)
}

// Whatever a scanner is called, its documents can be read.
func FuzzWords(f *testing.F) {
	f.Add("Acme <9>", "x\x00\xff", "a&b\r\n\t c")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		caps := &Capabilities{MakeAndModel: a, SerialNumber: b, UUID: c, Platen: &InputCaps{Formats: []string{a}, Intents: []Intent{Intent(b)}}}
		if got, err := ParseCapabilities(caps.XML()); err != nil && len(caps.XML()) <= MaxDocument {
			t.Errorf("ParseCapabilities(XML()) = %+v, %v", got, err)
		}
		for key, value := range caps.Text() {
			if len(key)+1+len(value) > maxPair {
				t.Errorf("Text() has %d bytes of %s", len(value), key)
			}
		}
	})
}
