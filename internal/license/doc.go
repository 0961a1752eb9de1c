// Package license says who may scan under which licence, the same way at a node and at
// a gateway, and counts what was scanned so that both ends can prove it.
//
// A vendor signs a Key. It names what it covers: web origins, browser clients, pages,
// clients at the same time, nodes, modules; a time; and the gateways and nodes to which
// it is bound. Ends trust vendors by their pins (Vendors); an end that trusts none asks
// for no licence.
//
// What is counted is handed out by one licence tracking server (Tracking): a gateway,
// a server by itself, or the node to which a key is bound. It signs a Lease for a seat and
// a Block for a number of pages at one node. The tokens that cover one request are a
// Permit.
//
// A Desk, where browsers sign in, finds the permit of a session or request. A Judge,
// where the paper is, checks all of it again and trusts nothing but signatures: the
// vendor's on the key, that of a server which the key names on lease and block. So one
// honest end is enough.
//
// Each committed page makes one Receipt at its node, in a hash chain (Receipt.Chain). A
// Ledger takes them in batches, each page once, and answers with a signed Mark.
package license
