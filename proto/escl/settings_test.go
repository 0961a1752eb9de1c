package escl

import (
	"reflect"
	"strings"
	"testing"
)

func ptr(n int) *int { return &n }

func everything() *Settings {
	return &Settings{
		Version: "2.63", Intent: Document, Region: &Region{X: 10, Y: 20, Width: ptr(300), Height: ptr(600), MustHonor: true},
		Source: FromFeeder, Duplex: true, Mode: RGB24, Format: JPEG, Resolution: 300,
		Adjustments: map[Adjustment]int{CompressionFactor: 25, Brightness: -5}, Concat: true,
		Job: JobSource{User: "ann", Domain: "D", Machine: "pc & co", File: "x.exe", Application: "X"},
	}
}

func TestSettingsXML(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    *Settings
		want string // within the root element
	}{
		{"least", &Settings{}, `<pwg:Version>` + Version + `</pwg:Version>`},
		{"everything", everything(),
			`<pwg:Version>2.63</pwg:Version><scan:Intent>Document</scan:Intent>` +
				`<pwg:ScanRegions pwg:MustHonor="true"><pwg:ScanRegion><pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits>` +
				`<pwg:XOffset>10</pwg:XOffset><pwg:YOffset>20</pwg:YOffset><pwg:Width>300</pwg:Width><pwg:Height>600</pwg:Height></pwg:ScanRegion></pwg:ScanRegions>` +
				`<pwg:InputSource>Feeder</pwg:InputSource><scan:Duplex>true</scan:Duplex><scan:ColorMode>RGB24</scan:ColorMode>` +
				`<scan:XResolution>300</scan:XResolution><scan:YResolution>300</scan:YResolution>` +
				`<pwg:DocumentFormat>image/jpeg</pwg:DocumentFormat><scan:DocumentFormatExt>image/jpeg</scan:DocumentFormatExt>` +
				`<scan:Brightness>-5</scan:Brightness><scan:CompressionFactor>25</scan:CompressionFactor><scan:ConcatIfPossible>true</scan:ConcatIfPossible>` +
				`<scan:JobSourceInfo><scan:UserName>ann</scan:UserName><scan:UserDomain>D</scan:UserDomain><scan:MachineName>pc &amp; co</scan:MachineName>` +
				`<scan:AppFileName>x.exe</scan:AppFileName><scan:Application>X</scan:Application></scan:JobSourceInfo>`},
		{"old version, glass", &Settings{Version: "2.0", Source: FromPlaten, Format: PDF, Resolution: 300, ResolutionY: 600},
			`<pwg:Version>2.0</pwg:Version><pwg:InputSource>Platen</pwg:InputSource><scan:XResolution>300</scan:XResolution>` +
				`<scan:YResolution>600</scan:YResolution><pwg:DocumentFormat>application/pdf</pwg:DocumentFormat>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := declaration + `<scan:ScanSettings` + xmlns + `>` + tt.want + `</scan:ScanSettings>`
			got := tt.s.XML()
			if string(got) != want {
				t.Errorf("XML() = %s\nwant    %s", got, want)
			}
			back, err := ParseSettings(got)
			if tt.s.Version == "" {
				tt.s.Version = Version
			}
			if err != nil || !reflect.DeepEqual(back, tt.s) {
				t.Errorf("ParseSettings(XML()) = %+v, %v, want %+v", back, err, tt.s)
			}
		})
	}
}

func region(prefix, body string) string {
	return `<` + prefix + `ScanRegions><` + prefix + `ScanRegion>` + body + `</` + prefix + `ScanRegion></` + prefix + `ScanRegions>`
}

// settingsTests are what clients send, without the element around it.
var settingsTests = []struct {
	name, xml string
	want      *Settings // without Version: "2.0"; nil: an error with fault in it
	fault     string
}{
	{"nothing", ``, &Settings{}, ""},
	{"the least that the standard asks for", `<pwg:Version>2.5</pwg:Version>`, &Settings{Version: "2.5"}, ""},
	{"region, pwg", region("pwg:", `<pwg:Height>600</pwg:Height><pwg:ContentRegionUnits>escl:ThreeHundredthsOfInches</pwg:ContentRegionUnits><pwg:Width>300</pwg:Width><pwg:XOffset>1</pwg:XOffset><pwg:YOffset>2</pwg:YOffset>`),
		&Settings{Region: &Region{X: 1, Y: 2, Width: ptr(300), Height: ptr(600)}}, ""},
	{"region, scan", region("scan:", `<scan:Height>600</scan:Height><scan:ContentRegionUnits>escl:ThreeHundredthsOfInch</scan:ContentRegionUnits>`),
		&Settings{Region: &Region{Height: ptr(600)}}, ""},
	{"region, unit without prefix", region("", `<ContentRegionUnits>ThreeHundredthsOfInches</ContentRegionUnits><XOffset>7</XOffset>`),
		&Settings{Region: &Region{X: 7}}, ""},
	{"region, empty parts", region("pwg:", `<pwg:XOffset/><pwg:YOffset> </pwg:YOffset><pwg:Width>0</pwg:Width>`), &Settings{Region: &Region{}}, ""},
	{"region, empty", region("pwg:", ``), &Settings{}, ""},
	{"region, not in ScanRegions", `<scan:ScanRegion pwg:MustHonor="1"><Width>9</Width></scan:ScanRegion>`,
		&Settings{Region: &Region{Width: ptr(9), MustHonor: true}}, ""},
	{"region, first of two", `<pwg:ScanRegions><pwg:ScanRegion><pwg:Width>1</pwg:Width></pwg:ScanRegion><pwg:ScanRegion><pwg:Width>2</pwg:Width></pwg:ScanRegion></pwg:ScanRegions>`,
		&Settings{Region: &Region{Width: ptr(1)}}, ""},
	{"region, fractions", region("pwg:", `<pwg:Width>2480.3149</pwg:Width><pwg:Height>3507.5</pwg:Height>`),
		&Settings{Region: &Region{Width: ptr(2480), Height: ptr(3508)}}, ""},
	{"region, foreign unit", region("pwg:", `<pwg:ContentRegionUnits>pwg:Millimeters</pwg:ContentRegionUnits>`), nil, `ContentRegionUnits is "pwg:Millimeters"`},
	{"region, negative", region("pwg:", `<pwg:Width>-300</pwg:Width>`), nil, `Width is "-300"`},
	{"region, no number", region("pwg:", `<pwg:XOffset>left</pwg:XOffset>`), nil, `XOffset is "left"`},
	{"region, infinite", region("pwg:", `<pwg:Height>inf</pwg:Height>`), nil, `Height is "inf"`},
	{"region, in powers", region("pwg:", `<pwg:Height>1e3</pwg:Height>`), nil, `Height is "1e3"`},

	{"source under both prefixes", `<pwg:InputSource>Feeder</pwg:InputSource><scan:InputSource>Feeder</scan:InputSource><scan:Duplex>1</scan:Duplex>`,
		&Settings{Source: FromFeeder, Duplex: true}, ""},
	{"source under the other prefix", `<scan:InputSource>Platen</scan:InputSource>`, &Settings{Source: FromPlaten}, ""},
	{"unknown words", `<scan:InputSource>Drum</scan:InputSource><scan:ColorMode>CMYK32</scan:ColorMode><scan:Intent>Art</scan:Intent>`,
		&Settings{Source: "Drum", Mode: "CMYK32", Intent: "Art"}, ""},
	{"duplex on the glass", `<pwg:InputSource>Platen</pwg:InputSource><scan:Duplex>true</scan:Duplex>`, &Settings{Source: FromPlaten}, ""},
	{"duplex without a source", `<scan:Duplex>TRUE</scan:Duplex>`, &Settings{Duplex: true}, ""},
	{"duplex, neither true nor false", `<scan:Duplex>both</scan:Duplex>`, nil, `Duplex is "both"`},
	{"one format", `<pwg:DocumentFormat>image/jpeg</pwg:DocumentFormat>`, &Settings{Format: JPEG}, ""},
	{"the new format alone", `<scan:DocumentFormatExt>Image/PNG</scan:DocumentFormatExt>`, &Settings{Format: PNG}, ""},
	{"two formats", `<pwg:DocumentFormat>image/jpeg</pwg:DocumentFormat><scan:DocumentFormatExt>application/pdf</scan:DocumentFormatExt>`, &Settings{Format: PDF}, ""},
	{"an empty format", `<scan:DocumentFormatExt/><pwg:DocumentFormat>image/jpeg</pwg:DocumentFormat>`, &Settings{Format: JPEG}, ""},
	{"resolution", `<scan:XResolution>300</scan:XResolution><scan:YResolution>300</scan:YResolution>`, &Settings{Resolution: 300}, ""},
	{"resolution, one", `<scan:YResolution>200</scan:YResolution>`, &Settings{Resolution: 200}, ""},
	{"resolution, two", `<scan:XResolution>300</scan:XResolution><scan:YResolution>600</scan:YResolution>`, &Settings{Resolution: 300, ResolutionY: 600}, ""},
	{"resolution, zero", `<scan:XResolution>0</scan:XResolution><scan:YResolution>600</scan:YResolution>`, &Settings{Resolution: 600}, ""},
	{"resolution, negative", `<scan:XResolution>-1</scan:XResolution>`, nil, `XResolution is "-1"`},
	{"resolution, none", `<scan:XResolution>high</scan:XResolution>`, nil, `XResolution is "high"`},
	{"adjustments", `<scan:Threshold>128</scan:Threshold><scan:Brightness>-20</scan:Brightness>`,
		&Settings{Adjustments: map[Adjustment]int{Threshold: 128, Brightness: -20}}, ""},
	{"adjustments of SANE", `<scan:ThresholdSupport>128</scan:ThresholdSupport><scan:ContrastSupport>3</scan:ContrastSupport>`,
		&Settings{Adjustments: map[Adjustment]int{Threshold: 128, Contrast: 3}}, ""},
	{"adjustment, none", `<scan:GammaSupport>bright</scan:GammaSupport>`, nil, `GammaSupport is "bright"`},
	{"all in one file", `<scan:ConcatIfPossible>yes</scan:ConcatIfPossible>`, &Settings{Concat: true}, ""},
	{"who asks", `<scan:JobSourceInfo><scan:UserName>ann</scan:UserName><scan:MachineName>pc</scan:MachineName></scan:JobSourceInfo>`,
		&Settings{Job: JobSource{User: "ann", Machine: "pc"}}, ""},
	{"what we do not know", `<scan:BlankPageDetection>true</scan:BlankPageDetection><scan:FeedDirection>LongEdgeFeed</scan:FeedDirection><x:Colour xmlns:x="urn:x">1</x:Colour>`, &Settings{}, ""},
	{"too long", strings.Repeat(" ", MaxSettings), nil, "bytes"},
}

func TestParseSettings(t *testing.T) {
	for _, tt := range settingsTests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want != nil && tt.want.Version == "" {
				tt.want.Version = "2.0"
			}
			// Through a prefix of the protocol, another one, and none that is declared.
			for _, around := range []struct{ start, end string }{
				{`<scan:ScanSettings` + xmlns + `>`, `</scan:ScanSettings>`},
				{`<ScanSettings xmlns="http://schemas.hp.com/imaging/escl/2011/05/03"` + xmlns + `>`, `</ScanSettings>`},
				{`<ScanSettings>`, `</ScanSettings>`},
			} {
				got, err := ParseSettings([]byte(around.start + tt.xml + around.end))
				check(t, got, err, tt.want, tt.fault)
			}
		})
	}
}
