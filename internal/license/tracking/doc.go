// Package tracking is the licence tracking server: the one place where what a key counts
// is handed out. A gateway, a server by itself and a node to which a key is bound run
// one each; HTTP is their callers' affair.
//
// An item is a key that was handed to the server. A project is a handshake code, by which
// items are found. A Lease is a seat of an item, a Block a number of its pages at one
// node. What was spent of blocks is read from the ledger, which alone knows.
//
// All state is in access.Records, and every change is one write of one record at the
// revision that was read, so that servers may share Records, stop at any point and go on
// elsewhere:
//
//	license.item.<id>                     a key, and whether it is suspended
//	license.project.<code>                a handshake code
//	license.seat.<id>.<number>            who holds the seat
//	license.pool.<id>.<period>            pages of the period: counted and with nodes
//	license.pages.<id>.<period>.<node>    blocks of the node
//
// A seat's number is found by its holder's hash, and the next ones tried if it is taken.
// So two servers that look for the same holder meet at the same records.
//
// The pool of a period and the blocks of a node are two records. The pool is written
// first and holds what the node's record is to become (step); whoever changes the pool
// next, or reads that node's record, finishes the step. No page is handed out twice or
// lost, whenever a server stops.
package tracking
