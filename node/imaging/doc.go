// Package imaging turns the rows of a page into a file while they are scanned, and
// finished files into other forms.
//
// An Encoder takes rows in the layout of driver.Device.Read and writes JPEG or PNG
// as it goes: what it holds is a few strips of rows, never a page, and the first
// bytes leave with the first strip. Convert makes renditions of a stored page.
// Workers call both; node/document uses the file headers and the row reader.
//
// JPEG files made here carry a restart marker at every strip, whatever the codec.
// That lets Convert decode them strip by strip, so that a rendition needs no more
// memory than a scan. JPEG files from elsewhere are decoded whole, within MaxBytes.
//
// Nothing here trusts a file: dimensions are judged against the limits before
// anything is allocated, and damage is an error, never a panic. The package opens no
// files, starts no goroutine that outlives a call, and knows nothing of jobs.
package imaging
