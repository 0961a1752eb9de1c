// Package node is the local service on a machine with scanners: it finds devices,
// queues and runs jobs, keeps their pages, and answers the HTTP API of
// proto/openapi.yaml on every road that leads to it. cmd/platen makes one Node,
// serves Handler on its listeners and runs Serve.
//
// # Who does what
//
// Each device has one goroutine, its actor (device), which alone decides about the
// device's worker process, its queue and the states of its jobs. What takes time, an
// operation of the worker, runs beside it and reports back, so that a hanging device
// never delays a cancellation. A job changes state only through advance: the table of
// proto/scan decides, the page store makes it durable, then it is announced.
//
// Pages go from the worker through a sink into the page store, and from there to any
// number of readers, each at its own pace. Events go through a hub that keeps the last
// ones for replay. Neither a slow reader nor a slow follower holds up a scanner.
//
// # Where it stands
//
// api_*.go answer the routes of routes.go. device*.go is the actor: its jobs wait in queue.go,
// schedule.go and hold.go, a batch is run.go and sink.go, a job changes in advance.go and is
// taken up again in recover.go; devices.go lists what drivers find. uplink.go is the tie to the
// gateway: dialing.go the link, approval.go and joined.go who it is, seek*.go one that is not
// known yet, gateway_*.go what the node asks it. roads*.go are the direct roads, inside.go the
// one within this process.
//
// # Waiting and starting again
//
// A job that waits for a person is processing-stopped with one reason and a deadline,
// and keeps the device. A device that another program holds (busy-elsewhere) is such a
// stop too, but the node tries again by itself, after 1 to 30 seconds, for two minutes.
// A feeder that is empty when a batch starts stops the job, also when it was resumed;
// one that runs empty ends the job well.
//
// After a restart no paper is fed until somebody asks for it. A job that was under
// way becomes processing-stopped with the reason interrupted and does not hold the
// device; one that was queued becomes pending-held with the same reason. Both go on
// with POST …/resume, the first at the head of the queue, from its next page. What eSCL
// clients had under way is canceled, and its pages are wiped: they do not come back.
//
// On a scanner that holds, a job begins as pending-held with the reason held-for-owner
// and an hour's time, and goes on only with a release: by its owner who sends the secret
// of the scanner's sticker, by whoever types its code at the scanner, or by an operator.
// Its pages go to its owner all the same. After a restart it waits with the same code,
// also when it was released and had not begun.
//
// # What a gateway sees
//
// What goes through the gateway is sealed for the recipient of its job, and under
// EncryptionRequired nothing else that holds the bytes of a page goes there. Everything
// that sends such bytes asks Node.sealedFor. Sizes, times, names and digests are told.
//
// # Its gateway
//
// A node without a gateway may look for one nearby (Config.Find). What is announced is a
// hint: the only one there is asked to let the node in if its key begins as announced, and
// a person at that gateway decides, who sees the same four symbols at both. With more than
// one nearby none is asked by itself. Once the node has joined, the gateway's pinned key
// decides; a record only adds an address to dial when the link has fallen.
//
// # Direct roads
//
// A browser that a gateway has given a grant may reach the node without it (Config.Roads).
// The first exchange of its session opens the road; then it may read what it may read through
// the gateway, as the same user, until the grant runs out, its session ends at the gateway, or
// node and gateway part. What changes something goes through the gateway. Where the node is
// reached it says itself, signed, so that the gateway cannot stand in the middle.
//
// The package never opens a device, decodes an image or knows a concrete driver or
// carrier of links.
package node
