package scan

// Page is one side of one sheet.
type Page struct {
	ID         string    `json:"id"` // of this attempt; the page's strong ETag is made of it
	Job        string    `json:"job"`
	N          int       `json:"n"` // from 1, without gaps over the committed pages of a job
	State      PageState `json:"state"`
	Side       Side      `json:"side,omitempty"`
	Format     Format    `json:"format"` // master format
	Mode       ColorMode `json:"mode"`
	Depth      int       `json:"depth"`            // bits per sample
	Resolution int       `json:"resolution"`       // dots per inch
	Width      int       `json:"width"`            // pixels
	Height     int       `json:"height,omitempty"` // pixels; 0 while it is not known
	Lines      int       `json:"lines"`            // rows scanned so far
	Bytes      int64     `json:"bytes"`            // stored so far
	Digest     string    `json:"digest,omitempty"` // lower-case hexadecimal SHA-256, once committed
	Started    Time      `json:"started"`
	Committed  Time      `json:"committed,omitzero"`
}

// PageState is the state of a page.
type PageState string

// The page states. A page that fails while it grows is no page: it leaves the list.
const (
	PageGrowing   PageState = "growing"
	PageCommitted PageState = "committed" // durable on the node
	PageDelivered PageState = "delivered" // its owner acknowledged it
	PageWiped     PageState = "wiped"     // its bytes are gone as they should be
	PageLost      PageState = "lost"      // its bytes are gone as they should not be
)

// PageAck acknowledges that a client has a page's bytes.
type PageAck struct {
	Digest string `json:"digest"` // as in Page.Digest
}

// Document is an ordered list of pages on one node. Taking a page out of it does
// not destroy the page at once, so the edit can be undone.
type Document struct {
	ID       string         `json:"id"`
	Node     string         `json:"node"`
	Name     string         `json:"name"`
	Revision int            `json:"revision"` // counts edits
	Pages    []DocumentPage `json:"pages"`
	Created  Time           `json:"created"`
	Updated  Time           `json:"updated"`
	Expires  Time           `json:"expires,omitzero"` // when the node deletes it
}

// DocumentPage places a page in a document.
type DocumentPage struct {
	Job    string `json:"job"`
	N      int    `json:"n"`
	Rotate int    `json:"rotate,omitempty"` // clockwise, 0, 90, 180 or 270 degrees
}

// DocumentEdit changes a document. Nil fields stay as they are.
type DocumentEdit struct {
	Revision *int            `json:"revision,omitempty"` // refuse if the document has moved on
	Name     *string         `json:"name,omitempty"`
	Pages    *[]DocumentPage `json:"pages,omitempty"` // the whole new order
}

// DocumentRequest makes a document of pages that exist.
type DocumentRequest struct {
	Name  string         `json:"name,omitempty"`
	Node  string         `json:"node,omitempty"` // needed at a gateway where Pages is empty
	Pages []DocumentPage `json:"pages,omitempty"`
}
