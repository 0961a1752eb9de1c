// Package ocr reads the text on a page with the program tesseract, where that is
// installed. The node makes one Engine and calls it.
//
// An Engine runs one process a page, a few at a time: with little of the machine, in a
// folder of its own that goes with it, and killed with all that it started when the
// caller or the node goes. The page goes in as standard input and a table of words comes
// out as standard output; neither is trusted. The engine writes no page to the disk, keeps
// no text and logs none.
package ocr
