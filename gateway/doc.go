// Package gateway is where nodes register and browsers on other devices come.
//
// It keeps the registry of nodes, signs people in (package access), remembers
// which scanners the nodes have and passes every request for a scanner, job or
// document on to the node that owns it, over that node's link, with a signed grant
// that the node checks again. The routing prefix of an identifier says which node
// that is.
//
// A client's request passes by proxy.go and asking.go. A file goes over the better of two
// links, and on when its link is lost (carry*.go). Lists are merged of what the nodes have
// (lists.go, merge.go). Under a licence (license*.go) pages are given out against receipts
// (receipts*.go).
//
// A node's life: it joins with a token (join.go) or by a person's approval
// (approval.go), links and is told from a copy of itself (links.go, sequence.go), is
// named, labeled, drained, revoked, reinstated (nodes.go), changes its key or leaves
// (nodekey.go). It may use other nodes' scanners where an administrator lets it
// (presents.go, presenter.go). Browsers get grants for direct roads to it (roads.go), which
// close when their session ends (roadwatch.go). The gateway's own key changes in rotation.go.
//
// cmd/platen makes one Gateway, gives its handlers to relay/front and calls
// AddLink for every link that front accepts. The gateway stores no page, never
// talks to a device and knows no link but by relay.Link.
package gateway
