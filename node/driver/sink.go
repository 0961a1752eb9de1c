package driver

// Sink takes the pages of a scan. Its methods are called one at a time and not after
// Scan has returned. Where they block, the worker and in the end the device wait.
type Sink interface {
	// PageStarted begins a page. An error ends the scan with that error.
	PageStarted(PageInfo) (PageSink, error)
}

// PageSink takes one page: Write and Progress as it grows, then Commit or Abort, once.
// An error of Write or Commit ends the scan with that error.
type PageSink interface {
	// Write appends bytes of the encoded file. It does not keep p.
	Write(p []byte) (int, error)
	// Progress says how many rows are encoded so far.
	Progress(lines int)
	// Commit says that the page is whole and has height rows. The patches, mostly
	// none, must be written over the file first: they tell it a height that was not
	// known at its start. After an error of Commit there is no Abort.
	Commit(height int, patches ...Patch) error
	// Abort says that what came is no page.
	Abort(err error)
}

// Patch is what must be overwritten in the file of a page before it is whole.
type Patch struct {
	Offset int64  `json:"offset"`
	Data   []byte `json:"data"`
}
