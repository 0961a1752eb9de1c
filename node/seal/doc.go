// Package seal encrypts pages and documents for one recipient, so that a gateway which
// passes them on cannot read them. The node seals with it, and Open is the other end for
// programs; web/sdk/src/seal.ts is the same for browsers. The package opens no file, knows
// no request and decides nothing: callers say what is sealed and for whom.
//
// # Format platen-sealed/1
//
// A recipient is an ECDH key pair on P-256. Its public key is named in a job request as
// the uncompressed point (65 bytes) in base64url without padding, 87 characters.
//
// A sealed answer has the type application/vnd.platen.sealed and the header
//
//	Platen-Sealed: v1; type=image/jpeg; for=<8 bytes>; key=<enc ‖ ct>
//
// with base64url without padding. type is the media type of what is inside. for is the
// first 8 bytes of SHA-256 of the recipient's point; it only tells a wrong key from a
// damaged answer. Parameters that are not known are ignored.
//
// key holds the content key of 32 bytes, sealed with HPKE (RFC 9180) in base mode with
// DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and AES-256-GCM: enc has 65 bytes, ct has 48. aad
// is the media type. info is, with a zero byte between the parts,
//
//	"platen-sealed/1" 0 node 0 object 0 part 0 version 0 form
//
// where for a page, object is the ID of its job, part its number in decimal, version the
// page's ID and form the name of the rendition, as "png" or "jpeg-w240", empty for the bytes
// as they were stored. For the content of a document, object is the document's ID, part is
// empty, version is the tag of its content and form is pdf, tiff, zip or txt. The receiver makes
// info from what it asked for: an answer to another question does not open.
//
// The ETag names version and form: "<page ID>.s-<mark>", "<page ID>.<form>.s-<mark>", or
// "<tag>.s-<mark>" for a document. The mark depends on the content key, so that ranges of
// answers under one ETag are ranges of the same bytes.
//
// The body is the plaintext in chunks of 65,536 bytes, each encrypted with AES-256-GCM under
// the content key, the tag of 16 bytes after it. The nonce of 12 bytes is the number of the
// chunk from 0, big-endian in 11 bytes, then 1 for the final chunk and 0 for the others.
// There is no additional data. The final chunk has less than 65,536 bytes and may be empty;
// all others are full. So a chunk can go out as soon as its bytes are there, lengths follow
// from lengths, and what ends without a final chunk was cut.
//
// # Keys
//
// A page's content key is HKDF-SHA256 of a secret that only the node has, over recipient and
// name and, for all but the stored bytes of a page, the SHA-256 of the plaintext. The
// stored bytes of one page ID never change and only grow, so one key never seals different
// bytes under one nonce, and the same question has the same answer after a restart: Range
// works. What is written as it goes, a document, has a random key for each answer.
//
// # What it does not do
//
// It keeps what is scanned from who only passes it on or keeps a copy. Base mode does not
// prove who sealed: a gateway that lies may name its own key in place of the browser's when
// the job is made, or seal a page of its own making. Sizes, times, names and the digests of
// pages are told outside.
package seal
