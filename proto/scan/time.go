package scan

import "time"

// Time is an instant on the wire: RFC 3339 with milliseconds, in UTC.
type Time struct{ time.Time }

const timeFormat = "2006-01-02T15:04:05.000Z"

// At makes a Time of t, cut to milliseconds.
func At(t time.Time) Time { return Time{t.UTC().Truncate(time.Millisecond)} }

// MarshalText writes RFC 3339 with milliseconds.
func (t Time) MarshalText() ([]byte, error) { return t.UTC().AppendFormat(nil, timeFormat), nil }

// MarshalJSON writes the same in quotes.
func (t Time) MarshalJSON() ([]byte, error) {
	return t.UTC().AppendFormat(nil, `"`+timeFormat+`"`), nil
}

// IsZero lets encoding/json leave out the zero Time with omitzero.
func (t Time) IsZero() bool { return t.Time.IsZero() }
