package escl

import (
	"reflect"
	"strings"
	"testing"
)

// office is a scanner with everything.
func office() *Capabilities {
	in := func(height int) *InputCaps {
		return &InputCaps{
			MinWidth: 50, MaxWidth: 2550, MinHeight: 60, MaxHeight: height, MaxResolution: 600,
			Modes: []ColorMode{BlackAndWhite1, Grayscale8, RGB24}, Formats: []string{PDF, JPEG, PNG},
			Resolutions: []int{75, 300}, Intents: []Intent{Document, Photo},
		}
	}
	return &Capabilities{
		Version: "2.63", MakeAndModel: "Acme <Scan> & Co 9", Manufacturer: "Acme", SerialNumber: "S1",
		UUID: "8f2bd2a1-0000-8000-8000-000000000001", AdminURI: "http://[fe80::1]:18620/", IconURI: "http://192.0.2.1:18630/icon.png",
		Platen: in(3508), Simplex: in(4200), Duplex: in(4200),
		Feeder:      FeederCaps{Capacity: 50, DetectsLoad: true, AlignX: "Center", AlignY: "Top"},
		Adjustments: map[Adjustment]Range{Threshold: {0, 255, 128, 1}, Brightness: {-100, 100, 0, 5}},
		Naps2:       "Progress;ErrorDetails", JobSource: true,
	}
}

func officeInput(height, offset string) string {
	return `<scan:MinWidth>50</scan:MinWidth><scan:MaxWidth>2550</scan:MaxWidth>` +
		`<scan:MinHeight>60</scan:MinHeight><scan:MaxHeight>` + height + `</scan:MaxHeight>` +
		`<scan:MaxXOffset>2500</scan:MaxXOffset><scan:MaxYOffset>` + offset + `</scan:MaxYOffset>` +
		`<scan:MaxOpticalXResolution>600</scan:MaxOpticalXResolution><scan:MaxOpticalYResolution>600</scan:MaxOpticalYResolution>` +
		`<scan:MaxScanRegions>1</scan:MaxScanRegions><scan:SettingProfiles><scan:SettingProfile>` +
		`<scan:ColorModes><scan:ColorMode>BlackAndWhite1</scan:ColorMode><scan:ColorMode>Grayscale8</scan:ColorMode><scan:ColorMode>RGB24</scan:ColorMode></scan:ColorModes>` +
		`<scan:DocumentFormats><pwg:DocumentFormat>application/pdf</pwg:DocumentFormat><pwg:DocumentFormat>image/jpeg</pwg:DocumentFormat><pwg:DocumentFormat>image/png</pwg:DocumentFormat>` +
		`<scan:DocumentFormatExt>application/pdf</scan:DocumentFormatExt><scan:DocumentFormatExt>image/jpeg</scan:DocumentFormatExt><scan:DocumentFormatExt>image/png</scan:DocumentFormatExt></scan:DocumentFormats>` +
		`<scan:SupportedResolutions><scan:DiscreteResolutions>` +
		`<scan:DiscreteResolution><scan:XResolution>75</scan:XResolution><scan:YResolution>75</scan:YResolution></scan:DiscreteResolution>` +
		`<scan:DiscreteResolution><scan:XResolution>300</scan:XResolution><scan:YResolution>300</scan:YResolution></scan:DiscreteResolution>` +
		`</scan:DiscreteResolutions></scan:SupportedResolutions></scan:SettingProfile></scan:SettingProfiles>` +
		`<scan:SupportedIntents><scan:Intent>Document</scan:Intent><scan:Intent>Photo</scan:Intent></scan:SupportedIntents>`
}

const (
	declaration = `<?xml version="1.0" encoding="UTF-8"?>`
	xmlns       = ` xmlns:scan="http://schemas.hp.com/imaging/escl/2011/05/03" xmlns:pwg="http://www.pwg.org/schemas/2010/12/sm"`
)

func TestCapabilitiesXML(t *testing.T) {
	want := declaration + `<scan:ScannerCapabilities` + xmlns + `>` +
		`<pwg:Version>2.63</pwg:Version><pwg:MakeAndModel>Acme &lt;Scan&gt; &amp; Co 9</pwg:MakeAndModel>` +
		`<pwg:SerialNumber>S1</pwg:SerialNumber><pwg:Manufacturer>Acme</pwg:Manufacturer>` +
		`<scan:UUID>8f2bd2a1-0000-8000-8000-000000000001</scan:UUID><scan:AdminURI>http://[fe80::1]:18620/</scan:AdminURI>` +
		`<scan:IconURI>http://192.0.2.1:18630/icon.png</scan:IconURI><scan:Naps2Extensions>Progress;ErrorDetails</scan:Naps2Extensions>` +
		`<scan:Platen><scan:PlatenInputCaps>` + officeInput("3508", "3448") + `</scan:PlatenInputCaps></scan:Platen>` +
		`<scan:Adf><scan:AdfSimplexInputCaps>` + officeInput("4200", "4140") + `</scan:AdfSimplexInputCaps>` +
		`<scan:AdfDuplexInputCaps>` + officeInput("4200", "4140") + `</scan:AdfDuplexInputCaps>` +
		`<scan:FeederCapacity>50</scan:FeederCapacity>` +
		`<scan:AdfOptions><scan:AdfOption>DetectPaperLoaded</scan:AdfOption><scan:AdfOption>Duplex</scan:AdfOption></scan:AdfOptions>` +
		`<scan:Justification><pwg:XImagePosition>Center</pwg:XImagePosition><pwg:YImagePosition>Top</pwg:YImagePosition></scan:Justification></scan:Adf>` +
		`<scan:BrightnessSupport><scan:Min>-100</scan:Min><scan:Max>100</scan:Max><scan:Normal>0</scan:Normal><scan:Step>5</scan:Step></scan:BrightnessSupport>` +
		`<scan:ThresholdSupport><scan:Min>0</scan:Min><scan:Max>255</scan:Max><scan:Normal>128</scan:Normal><scan:Step>1</scan:Step></scan:ThresholdSupport>` +
		`<scan:JobSourceInfoSupport>true</scan:JobSourceInfoSupport></scan:ScannerCapabilities>`
	got := office().XML()
	if string(got) != want {
		t.Errorf("XML() = %s\nwant    %s", got, want)
	}
	back, err := ParseCapabilities(got)
	if err != nil || !reflect.DeepEqual(back, office()) {
		t.Errorf("ParseCapabilities(XML()) = %+v, %v, want what was written", back, err)
	}
}

// Elements without which known clients refuse a scanner are there though they are empty.
func TestLeastCapabilitiesXML(t *testing.T) {
	got := string((&Capabilities{Simplex: &InputCaps{MaxWidth: 9}}).XML())
	for _, want := range []string{
		"<pwg:Version>" + Version + "</pwg:Version>", "<pwg:SerialNumber></pwg:SerialNumber>",
		"<scan:AdfOptions></scan:AdfOptions>", "<scan:ColorModes></scan:ColorModes>", "<scan:SupportedIntents></scan:SupportedIntents>",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("XML() = %s, want %s in it", got, want)
		}
	}
	for _, none := range []string{"Platen", "AdminURI", "Manufacturer", "Duplex", "Naps2", "Justification", "FeederCapacity"} {
		if strings.Contains(got, none) {
			t.Errorf("XML() = %s, want no %s", got, none)
		}
	}
}

const (
	profile = `<ColorModes><ColorMode>RGB24</ColorMode></ColorModes><DocumentFormats><DocumentFormat>image/jpeg</DocumentFormat></DocumentFormats>` +
		`<SupportedResolutions><DiscreteResolutions><DiscreteResolution><XResolution>300</XResolution><YResolution>300</YResolution></DiscreteResolution></DiscreteResolutions></SupportedResolutions>`
	grayProfile = `<ColorModes><ColorMode>Grayscale8</ColorMode><ColorMode>RGB24</ColorMode></ColorModes><DocumentFormats><DocumentFormatExt>IMAGE/JPEG</DocumentFormatExt><DocumentFormatExt>application/pdf</DocumentFormatExt></DocumentFormats>` +
		`<SupportedResolutions><ColorMode>Grayscale8</ColorMode><DiscreteResolutions><DiscreteResolution><XResolution>150</XResolution><YResolution>150</YResolution></DiscreteResolution>` +
		`<DiscreteResolution><XResolution>600</XResolution><YResolution>1200</YResolution></DiscreteResolution></DiscreteResolutions></SupportedResolutions>`
	rangeProfile = `<SupportedResolutions><ResolutionRange><XResolutionRange><Min>100</Min><Max>600</Max><Normal>300</Normal><Step>100</Step></XResolutionRange>` +
		`<YResolutionRange><Min>50</Min><Max>400</Max><Normal>300</Normal><Step>1</Step></YResolutionRange></ResolutionRange></SupportedResolutions>`
)

func platen(profiles string) string {
	return `<Platen><PlatenInputCaps><MaxWidth>2550</MaxWidth><SettingProfiles>` + profiles + `</SettingProfiles></PlatenInputCaps></Platen>`
}

// capabilityTests are documents as devices write them, in their variety.
var capabilityTests = []struct {
	name, xml string
	want      *Capabilities // nil: an error with fault in it
	fault     string
}{
	{"nothing", `<ScannerCapabilities/>`, &Capabilities{Version: "2.0"}, ""},
	{"namespace of another date, prefixes of its own",
		`<e:ScannerCapabilities xmlns:e="http://schemas.hp.com/imaging/escl/2019/01/01" xmlns:p="http://www.pwg.org/schemas/2011/02/sm">` +
			`<p:Version> 2.9 </p:Version><e:UUID>URN:uuid:abc</e:UUID><e:Manufacturer>Acme</e:Manufacturer></e:ScannerCapabilities>`,
		&Capabilities{Version: "2.9", UUID: "abc", Manufacturer: "Acme"}, ""},
	{"prefixes that nobody declared", `<scan:ScannerCapabilities><pwg:MakeAndModel>M</pwg:MakeAndModel></scan:ScannerCapabilities>`,
		&Capabilities{Version: "2.0", MakeAndModel: "M"}, ""},
	{"elements of others are passed over",
		`<ScannerCapabilities xmlns:x="urn:x"><x:UUID>no</x:UUID><x:Platen><PlatenInputCaps><MaxWidth>x</MaxWidth></PlatenInputCaps></x:Platen><Odd>1</Odd><UUID>yes</UUID></ScannerCapabilities>`,
		&Capabilities{Version: "2.0", UUID: "yes"}, ""},
	{"byte order mark, lower-case document type, comment, what follows",
		"\ufeff<?xml version='1.0' encoding='ISO-8859-1'?><!doctype x [<!ENTITY y 'z'>]><!-- c --><ScannerCapabilities><MakeAndModel>M<!-- c -->N</MakeAndModel></ScannerCapabilities>\x00</x>",
		&Capabilities{Version: "2.0", MakeAndModel: "MN"}, ""},
	{"a name in an old encoding", "<ScannerCapabilities><MakeAndModel>B\xfcro</MakeAndModel></ScannerCapabilities>",
		&Capabilities{Version: "2.0", MakeAndModel: "B\ufffdro"}, ""},
	{"profiles are united",
		`<ScannerCapabilities>` + platen(`<SettingProfile>`+profile+`</SettingProfile><SettingProfile>`+grayProfile+`</SettingProfile>`) + `</ScannerCapabilities>`,
		&Capabilities{Version: "2.0", Platen: &InputCaps{
			MaxWidth: 2550, Modes: []ColorMode{RGB24, Grayscale8}, Formats: []string{JPEG, PDF}, Resolutions: []int{150, 300}}}, ""},
	{"shared profile",
		`<ScannerCapabilities>` + platen(`<SettingProfile ref="p"/><SettingProfile ref="p"/><SettingProfile ref="missing"/>`) +
			`<SettingProfiles><SettingProfile name="p">` + profile + `</SettingProfile></SettingProfiles></ScannerCapabilities>`,
		&Capabilities{Version: "2.0", Platen: &InputCaps{MaxWidth: 2550, Modes: []ColorMode{RGB24}, Formats: []string{JPEG}, Resolutions: []int{300}}}, ""},
	{"range of resolutions", `<ScannerCapabilities>` + platen(`<SettingProfile>`+rangeProfile+`</SettingProfile>`) + `</ScannerCapabilities>`,
		&Capabilities{Version: "2.0", Platen: &InputCaps{MaxWidth: 2550, Resolutions: []int{100, 200, 300, 400}}}, ""},
	{"feeder",
		`<ScannerCapabilities><Adf><AdfDuplexInputCaps><SupportedIntents><SupportedIntent>Photo</SupportedIntent></SupportedIntents></AdfDuplexInputCaps>` +
			`<AdfOptions><AdfOption>SelectSinglePage</AdfOption><AdfOption>DetectPaperLoaded</AdfOption></AdfOptions>` +
			`<Justification><XImagePosition>Left</XImagePosition></Justification></Adf></ScannerCapabilities>`,
		&Capabilities{Version: "2.0", Duplex: &InputCaps{Intents: []Intent{Photo}}, Feeder: FeederCaps{DetectsLoad: true, AlignX: "Left"}}, ""},
	{"adjustment", `<ScannerCapabilities><SharpenSupport><Min>-2</Min><Max>2.4</Max></SharpenSupport></ScannerCapabilities>`,
		&Capabilities{Version: "2.0", Adjustments: map[Adjustment]Range{Sharpen: {Min: -2, Max: 2}}}, ""},

	{"nothing at all", ``, nil, "no XML element"},
	{"no XML", `scan`, nil, "no XML"},
	{"not closed", `<ScannerCapabilities>`, nil, "no XML"},
	{"another document", `<ScannerStatus/>`, nil, "something else"},
	{"document of others", `<x:ScannerCapabilities xmlns:x="urn:x"/>`, nil, "something else"},
	{"entity of its own", `<!DOCTYPE x [<!ENTITY y "z">]><ScannerCapabilities><UUID>&y;</UUID></ScannerCapabilities>`, nil, "entity &y;"},
	{"a word for a number", `<ScannerCapabilities>` + strings.Replace(platen(""), "2550", "wide", 1) + `</ScannerCapabilities>`, nil, `MaxWidth is "wide"`},
	{"negative size", `<ScannerCapabilities>` + strings.Replace(platen(""), "2550", "-1", 1) + `</ScannerCapabilities>`, nil, `MaxWidth is "-1"`},
	{"a number that is too large", `<ScannerCapabilities>` + strings.Replace(platen(""), "2550", "99999999999", 1) + `</ScannerCapabilities>`, nil, "out of range"},
	{"neither true nor false", `<ScannerCapabilities><JobSourceInfoSupport>maybe</JobSourceInfoSupport></ScannerCapabilities>`, nil, "JobSourceInfoSupport"},
	{"too deep", `<ScannerCapabilities>` + strings.Repeat("<a>", 40) + strings.Repeat("</a>", 40) + `</ScannerCapabilities>`, nil, "32"},
	{"too many elements", `<ScannerCapabilities>` + strings.Repeat("<a/>", 20000) + `</ScannerCapabilities>`, nil, "16384"},
	{"too long", `<ScannerCapabilities>` + strings.Repeat(" ", MaxDocument) + `</ScannerCapabilities>`, nil, "bytes"},
}

func TestParseCapabilities(t *testing.T) {
	for _, tt := range capabilityTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseCapabilities([]byte(tt.xml))
			check(t, got, err, tt.want, tt.fault)
		})
	}
}

// check compares what a parser returned with what it should have.
func check[T any](t *testing.T, got *T, err error, want *T, fault string) {
	t.Helper()
	switch {
	case want == nil && (err == nil || !strings.Contains(err.Error(), fault)):
		t.Errorf("parsed as %+v, %v, want an error with %q", got, err, fault)
	case want == nil && len(err.Error()) > 200:
		t.Errorf("the error repeats too much of the document: %v", err)
	case want != nil && (err != nil || !reflect.DeepEqual(got, want)):
		t.Errorf("parsed as %+v, %v\nwant %+v", got, err, want)
	}
}

func TestText(t *testing.T) {
	got := office().Text()
	want := map[string]string{
		"txtvers": "1", "rs": "eSCL", "vers": "2.63", "ty": "Acme <Scan> & Co 9", "mfg": "Acme", "mdl": "<Scan> & Co 9",
		"uuid": "8f2bd2a1-0000-8000-8000-000000000001", "is": "platen,adf", "duplex": "T",
		"pdl": "application/pdf,image/jpeg,image/png", "cs": "binary,grayscale,color",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("Text() = %v, want %v", got, want)
	}
	least := (&Capabilities{MakeAndModel: strings.Repeat("ü", 200), Simplex: &InputCaps{Modes: []ColorMode{RGB48}}}).Text()
	want = map[string]string{"txtvers": "1", "rs": "eSCL", "vers": Version, "ty": strings.Repeat("ü", 126), "mdl": strings.Repeat("ü", 125),
		"is": "adf", "duplex": "F", "cs": "color"}
	if !reflect.DeepEqual(least, want) {
		t.Errorf("Text() = %v, want %v", least, want)
	}
}

// The UUID of a scanner is what clients know it by: it never changes.
func TestUUIDOf(t *testing.T) {
	if got, want := UUIDOf("abcdefghijklmnop-sabcdefghijklmnopqrst"), "9011bb80-0006-8cab-b288-7fa433fb0848"; got != want {
		t.Errorf("UUIDOf() = %s, want %s", got, want)
	}
}
