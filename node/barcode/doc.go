// Package barcode reads the barcodes on a page: linear ones and matrix codes, several of
// them, turned in any of four directions.
//
// Worker processes call Read; the node never does. The decoders are those of gozxing, a
// port of ZXing, which this package alone knows. They read one code in an image that
// shows little else, so a page is taken apart first: its rows and columns at white gaps,
// for linear codes, and its busy areas, for matrix codes. A linear code counts only when
// several rows agree on it; with few of them text and pictures would be full of codes.
//
// Nothing here trusts an image: what a decoder panics on is no code, and the number and
// length of codes have limits. How long a hostile image takes is for the caller to bound,
// by ending the process.
package barcode
