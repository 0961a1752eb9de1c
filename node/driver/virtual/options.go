package virtual

import (
	"fmt"
	"strconv"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// The names of the device's options.
const (
	optionPace      = "pace"
	optionSheets    = "sheets"
	optionFault     = "fault"
	optionFaultPage = "fault-page"
)

// pace is how fast the sheets move.
type pace string

const (
	paceReal pace = "real" // 50 sheets a minute at 300 dpi
	paceFast pace = "fast" // four times that
	paceOff  pace = "off"  // as fast as pages can be drawn
)

// fault is what goes wrong at the page that fault-page names.
type fault string

const (
	faultNone        fault = "none"
	faultFeederEmpty fault = "feeder-empty" // before the first sheet; then the feeder is filled
	faultJam         fault = "jam"
	faultCoverOpen   fault = "cover-open"
	faultOffline     fault = "offline"
	faultIOError     fault = "io-error"
	faultShortPage   fault = "short-page"
	faultSlow        fault = "slow"  // ten times slower, no more
	faultHang        fault = "hang"  // no more rows, and deaf for Cancel
	faultCrash       fault = "crash" // the process ends
)

var (
	paces  = []string{string(paceOff), string(paceFast), string(paceReal)}
	faults = []string{
		string(faultNone), string(faultFeederEmpty), string(faultJam), string(faultCoverOpen), string(faultOffline),
		string(faultIOError), string(faultShortPage), string(faultSlow), string(faultHang), string(faultCrash),
	}
)

const (
	defaultSheets = 5
	maxSheets     = 50
	maxFaultPage  = 2 * maxSheets
)

// options are the device's options, parsed.
type options struct {
	pace      pace
	sheets    int
	fault     fault
	faultPage int
}

func parseOptions(values map[string]string) (options, error) {
	o := options{pace: paceReal, sheets: defaultSheets, fault: faultNone, faultPage: 1}
	for name, value := range values {
		var err error
		switch name {
		case optionPace:
			o.pace = pace(value)
		case optionFault:
			o.fault = fault(value)
		case optionSheets:
			o.sheets, err = strconv.Atoi(value)
		case optionFaultPage:
			o.faultPage, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("there is no such option")
		}
		if err != nil {
			return o, fmt.Errorf("option %s: %w", name, err)
		}
	}
	return o, nil
}

// pageTime is how long the rows of a whole page take. The back of a sheet is read
// together with its front and only has to be fetched.
func (o options) pageTime(dpi int, side scan.Side, n int) time.Duration {
	t := 1200 * time.Millisecond * time.Duration(max(dpi, 100)) / 300
	if side == scan.SideBack {
		t /= 4
	}
	if o.fault == faultSlow && n == o.faultPage {
		t *= 10
	}
	return o.scale(t)
}

// feedTime is how long it takes until the first row of a page comes.
func (o options) feedTime(side scan.Side) time.Duration {
	if side == scan.SideBack {
		return 0
	}
	return o.scale(200 * time.Millisecond)
}

func (o options) scale(t time.Duration) time.Duration {
	switch o.pace {
	case paceOff:
		return 0
	case paceFast:
		return t / 4
	}
	return t
}

func describeOptions() []scan.Option {
	number := func(v float64) *float64 { return &v }
	return []scan.Option{
		{
			Name: optionPace, Title: "Pace", Type: scan.OptionString, Values: paces, Default: string(paceReal), Advanced: true,
			Description: "How fast the sheets move: like a real scanner, four times faster, or without any waiting.",
		}, {
			Name: optionSheets, Title: "Sheets in the feeder", Type: scan.OptionInt, Min: number(0), Max: number(maxSheets), Step: 1,
			Default: strconv.Itoa(defaultSheets), Advanced: true,
			Description: "The feeder is filled with so many sheets before each scan.",
		}, {
			Name: optionFault, Title: "Fault", Type: scan.OptionString, Values: faults, Default: string(faultNone), Advanced: true,
			Description: "What goes wrong during the scan. It happens once and is over when the scan is resumed.",
		}, {
			Name: optionFaultPage, Title: "Fault at page", Type: scan.OptionInt, Min: number(1), Max: number(maxFaultPage), Step: 1,
			Default: "1", Advanced: true,
			Description: "The page of the scan at which the fault happens.",
		},
	}
}
