// Package ledger is where a licence tracking server counts pages: each page of each node
// once, for ever, in an order that everybody can check.
//
// A node's meter is a hash chain of receipts (license.Chain). The Book takes batches of
// them, recomputes the chain from where it stands with the node, and compares with the
// head that the node signed. What fits is appended in one write; the answer is a mark
// that the server signs. What was counted before is checked and passed over.
//
// The ledger is a sequence of records in access.Records. A record holds one batch and is
// named by the place of its first page in the ledger:
//
//	ledger.<place, 20 digits>
//
// Places begin at 1 and have no holes. A record is made with Create and never changed, so
// that of two Books that append at the same place one wins and the other one reads what
// it wrote, and a write is whole or not there. Nothing else is stored: heads and
// statistics are folded from the records at the start. Keys ascend in the order of the
// writes; Records whose List goes by the order of writes do as well.
//
// A Book needs the same memory for each node however many pages it has. Statistics need
// four bytes for each browser client in each three minutes of each item, see Usage.
package ledger
