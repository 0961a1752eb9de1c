// Package scan is the vocabulary of scanning: scanners, what they can do, what
// is asked of them, jobs, pages and documents. Both ends, the drivers, the CLI
// and the generated API types use these types and no others.
//
// The words and the job states are those of the PWG (PWG 5100.17, RFC 8011
// section 5.3.7). Lengths are millimetres from the top left corner of the
// source; resolutions are dots per inch; times are RFC 3339 in UTC.
//
// The package does no I/O and holds no state.
package scan
