// Package escl is the vocabulary of eSCL, the HTTP protocol by which operating systems
// scan without drivers (Apple's name for it is AirScan), and the codec of its documents.
// The eSCL server uses it towards print dialogs; a client of network scanners can use the
// same types. It does no I/O.
//
// # Protocol
//
// A scanner is an HTTP/1.1 server. Below its root, which is "/eSCL" wherever clients must
// find it, are
//
//	GET    ScannerCapabilities          Capabilities
//	GET    ScannerStatus                Status
//	POST   ScanJobs                     Settings; the answer's Location is a job
//	GET    ScanJobs/{id}/NextDocument   the next page, or all pages in one file; 404 after the last
//	GET    ScanJobs/{id}/ScanImageInfo  ImageInfo of what NextDocument gave
//	DELETE ScanJobs/{id}                cancels
//	PUT    ScanBufferInfo               Settings; the answer is BufferInfo
//	GET    ScanJobs/{id}/Progress       numbers from 0 to 1, one a line (NAPS2)
//	GET    ScanJobs/{id}/ErrorDetails   ErrorDetails, after a 500 (NAPS2)
//
// Documents are XML in two namespaces, those of HP's eSCL ("scan") and of the PWG's
// semantic model ("pwg"). All lengths are in 1/300 inch whatever the resolution. Versions
// compare as decimal fractions: 2.63 is older than 2.9. Scanners are found by DNS-SD as
// _uscan._tcp and _uscans._tcp (HTTPS), with the TXT record that Capabilities.Text makes.
//
// # Strict in what is written
//
// Clients are simpler than XML: documents have exactly the prefixes scan and pwg, no line
// breaks, one fixed order of elements, every profile in full where it is used, resolutions
// one by one, and formats twice (DocumentFormat for all clients, DocumentFormatExt since
// version 2.1).
//
// # Lenient in what is read
//
//   - Elements are known by their local names, in any order, in namespaces of any date, in
//     none, or with a prefix that was never declared. Those of other namespaces and unknown
//     ones are passed over; empty ones count as absent.
//   - Any element may be absent.
//   - A byte order mark, no XML declaration, a declared encoding that is not true, a
//     document type and anything after the last element do not matter.
//   - InputSource and ScanRegions are read under both prefixes, regions with any of their
//     parts missing, Width and Height of 0 as missing, units as …OfInch and …OfInches.
//   - DocumentFormatExt is worth more than DocumentFormat.
//   - Adjustments are read as "Threshold" and as "ThresholdSupport" (SANE's escl backend).
//   - Duplex with the glass is ignored.
//   - Truth is true, t, 1, yes and on; numbers may have fractions, which are rounded.
//   - Shared setting profiles are followed, several profiles are united, of ranges of
//     resolutions the usual ones are taken.
//   - ScannedAdfLoaded and ScannerAdfDoorOpen, as some devices write, are understood.
//
// What is left is malformed: no XML, another document, numbers and truth values that are
// none, negative sizes, foreign units, and what is beyond the limits of size, depth and
// number of elements. The error names the element.
//
// Words are not judged: an unknown ColorMode or InputSource is for the scanner to refuse.
package escl
