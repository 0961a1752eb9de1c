// Package pagestore keeps a node's jobs, pages and documents on disk so that no
// crash, power cut or full disk loses a committed page or shows half of one.
//
// An index in SQLite (storage/platen.db) says what exists; the bytes of each page
// are one file below spool/. A page becomes one in this order, and in no other:
//
//	temporary file → bytes → length and structure check → fsync → rename →
//	fsync of the directory → one transaction with page row, meter row and the
//	page's place in the job's document
//
// Only after Commit has returned may anybody be told of the page. A file that
// fails to sync is given up for good. While a page grows, any number of readers
// follow it without polling.
//
// The node core calls the package; nobody else opens its files. The package starts
// no goroutine, never looks into an image beyond its first and last bytes, moves
// no job from state to state (but for the interruption found at start) and decides
// nobody's permission: callers compare the owner that it returns.
package pagestore
