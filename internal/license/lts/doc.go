// Package lts is the HTTP face of a licence tracking server, and what keeps its standby.
//
// What is counted is tracking.Server's and ledger.Book's affair; this package says who may
// ask for it. Routes are for administrators, who change things, and operators, who read.
// NodeRoutes are for gateways and nodes by the keys that their connections prove: at a
// gateway its enrolled nodes, at a server by itself whoever knows a handshake code or key,
// and for reports whoever brings what a node that is known here has signed.
//
// A Standby copies the records and the ledger of a main server and answers while that one
// is away. What it hands out then it tells the main one when that is back.
//
// cmd/platen puts the parts together, the same for a gateway and for platen lts.
package lts
